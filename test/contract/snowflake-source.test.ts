import { snowflakeFixture } from './snowflake-fixture.ts'
import { sourceSuite } from './source-suite.ts'

// The vendor's own driver against the stand-in of test/snowflake: no statement about a real account.
sourceSuite('snowflake', snowflakeFixture)
