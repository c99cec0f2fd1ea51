import { destinationSuite } from './destination-suite.ts'
import { salesforceFixture } from './salesforce-fixture.ts'

destinationSuite(salesforceFixture)
