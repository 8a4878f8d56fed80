// What the name of a supervisor may be. Alone in its file because callers of a relay need it, and nothing else of how
// options are read (option-values.ts).

/** Linux ends a thread name, and people a table column, long before this; a file name ends at 255. */
export const MAX_NAME = 64

/** A name becomes a file name and is shown on terminals: nothing that could leave the folder or move a cursor. */
export const isName = (text: string): boolean =>
  text.length <= MAX_NAME && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text)
