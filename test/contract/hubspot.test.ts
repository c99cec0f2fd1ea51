import { destinationSuite } from './destination-suite.ts'
import { hubspotFixture } from './hubspot-fixture.ts'

destinationSuite(hubspotFixture)
