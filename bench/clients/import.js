// A process that imports what its argument names, and ends.
const [, , name = 'nothing'] = process.argv
if (name !== 'nothing') await import(name)
process.exit()
