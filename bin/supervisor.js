#!/usr/bin/env node
// The command `supervisor` (also `forksafe`). All of it lives in src/cli; here is only which build of it runs, by the rule
// of src/shared/packed.ts. CommonJS (package.json beside it), because Node starts that faster than a module.
const { FORKSAFE_DEBUG, NODE_V8_COVERAGE } = process.env
const built =
  FORKSAFE_DEBUG || NODE_V8_COVERAGE
    ? import('../dist/cli/main.js')
    : Promise.resolve(require('../dist/supervisor.cjs'))

built.then(({ main }) => main(process.argv.slice(2)))
