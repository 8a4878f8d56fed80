// Publishes to a relay as fast as it answers, over kept connections with one request in flight each, by plain sockets:
// Node's own HTTP client would be the bottleneck. Usage: TASK as JSON { socketPath, connections, ms, size }, or
// { socketPath, backlog, each, size } for batches, one after the other. Says { answers, seconds, times } to its parent.
import { connect } from 'node:net'

const { socketPath, connections = 1, ms, size, backlog, each } = JSON.parse(process.argv[2] ?? '{}')
const HEAD = 'HTTP/1.1 202'
let number = 0
let answers = 0
let isOver = false
/** @type {number[]} */
const times = []

const head = (/** @type {string} */ path, /** @type {string} */ type, /** @type {number} */ length) =>
  `POST ${path} HTTP/1.1\r\nhost: relay\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`
const single = head('/v1/feed', 'text/plain', size)
const question = () => {
  if (backlog === undefined) return single + `${++number} `.padEnd(size, '.')
  let lines = ''
  for (let left = Math.min(each, backlog - number); left > 0; left--)
    lines += `{"data":"${`${++number} `.padEnd(size, '.')}"}\n`
  return head('/v1/feed/batch', 'application/x-ndjson', lines.length) + lines
}

/** @returns {Promise<void>} */
const client = () =>
  new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    let text = ''
    let asked = 0
    const ask = () => {
      asked = performance.now()
      socket.write(question())
    }
    socket.setEncoding('latin1')
    socket.on('connect', ask)
    socket.on('data', (/** @type {string} */ piece) => {
      text += piece
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1])
      if (text.length < end + 4 + length) return
      if (!text.startsWith(HEAD) || text.includes('"error"')) return reject(new Error(text.slice(0, 400)))
      times.push(performance.now() - asked)
      text = ''
      answers++
      if (isOver || (backlog !== undefined && number >= backlog)) socket.end()
      else ask()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve())
  })

const begun = performance.now()
if (ms !== undefined)
  setTimeout(() => {
    isOver = true
  }, ms)
await Promise.all(Array.from({ length: connections }, client))
process.send?.({ answers, seconds: (performance.now() - begun) / 1_000, times }, () => process.disconnect())
