#!/usr/bin/env node
// The command `supervisor` (also `forksafe`). All of it lives in src/cli.
import { main } from '../dist/cli/main.js'

await main(process.argv.slice(2))
