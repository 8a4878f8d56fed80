// What the pages under docs/ have to say about codes, made from the tables that the code uses.

import { EXIT_CODES } from '../../src/cli/exit-code.js'
import { ERROR_CODES } from '../../src/shared/errors.js'

export const errorRows = (): string[] => [
  '| code | retryable | meaning |',
  '| --- | --- | --- |',
  ...Object.entries(ERROR_CODES).map(
    ([code, { retryable, meaning }]) => `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${meaning} |`,
  ),
]

export const exitCodeRows = (): string[] => [
  '| code | meaning |',
  '| --- | --- |',
  ...Object.entries(EXIT_CODES).map(([code, meaning]) => `| ${code} | ${meaning} |`),
]
