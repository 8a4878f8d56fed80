// Whether a text parses as an ES module, found out in this process. What is wrong with one that does not, and where, is
// what script-check.ts asks `node --check`: a process, and a slow one, that a text without mistakes can do without.

/** Node keeps what it was once asked to import; so this much text in the life of a process, and no more (characters). */
const MOST_TEXT = 1024 * 1024
/** Leads nowhere: a module that imports it is parsed, cannot be linked, and so is never run. */
const NOWHERE = 'forksafe:nowhere'

let textSoFar = 0

/** Parses and runs nothing. False also for a text that would be too much to keep. */
export const parsesAsModule = async (source: string): Promise<boolean> => {
  textSoFar += source.length
  if (textSoFar > MOST_TEXT) return false
  // In front and in the first line: nothing in the text can hide it.
  const text = `import '${NOWHERE}';${source.replace(/^\uFEFF/, '').replace(/^#!/, '//')}`
  try {
    await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)
    return false
  } catch (error) {
    return !(error instanceof SyntaxError)
  }
}
