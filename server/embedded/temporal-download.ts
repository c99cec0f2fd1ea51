import { TestWorkflowEnvironment } from '@temporalio/testing'

/**
 * A process of its own: lets the SDK download Temporal's CLI into the folder given as first argument. The SDK has no call that
 * only downloads, so the server is started once and stopped.
 */
const [downloadDir, version] = process.argv.slice(2)
if (downloadDir === undefined || version === undefined) throw new Error('usage: temporal-download FOLDER VERSION')
const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir, version, ttl: '1 day' } },
})
await environment.teardown()
process.exit(0)
