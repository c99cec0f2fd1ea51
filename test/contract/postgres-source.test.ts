import { postgresFixture } from './postgres-fixture.ts'
import { sourceSuite } from './source-suite.ts'

process.env['TZ'] = 'America/New_York'

sourceSuite('postgres', postgresFixture)
