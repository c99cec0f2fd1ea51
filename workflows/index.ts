export { inspection } from './inspection.ts'
export { launch } from './launch.ts'
export { syncRun } from './sync-run.ts'
