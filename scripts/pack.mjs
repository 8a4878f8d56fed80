// Packs what has to start fast into few CommonJS files, the second half of the build: Node reads, resolves and links each
// module by itself, and a worker has twenty, `supervisor start` seventy, before the first line of the app can run. What is
// imported when it is wanted stays a file of its own; packages stay outside.
// The modules in dist/ are there unpacked too, for coverage and for stacks (src/shared/packed.ts).

import { rollup } from '@rollup/wasm-node'

/** Where the packed files are: as deep as the modules, whose relative paths to other files have to stay true. */
const FOLDER = 'packed'

/**
 * @param {string} root dist/
 * @param {Record<string, string>} entries Name of the packed file, without ending, to its module, relative to `root`.
 */
export const pack = async (root, entries) => {
  const input = Object.fromEntries(
    Object.entries(entries).map(([name, module]) => [name, `${root}/${module}`]),
  )
  const bundle = await rollup({
    input,
    external: (id) => !/^[./]/.test(id),
    onwarn: (warning) => {
      throw new Error(`packing: ${warning.message}`)
    },
  })
  await bundle.write({
    dir: `${root}/${FOLDER}`,
    format: 'cjs',
    interop: 'auto',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
  })
  await bundle.close()
}
