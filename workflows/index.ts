export { inspection } from './inspection.ts'
export { launch } from './launch.ts'
export { notify } from './notify.ts'
export { syncRun } from './sync-run.ts'
