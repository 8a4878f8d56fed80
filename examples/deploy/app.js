// The service that the files beside this one run: an ordinary HTTP server, which knows nothing of containers.
//
//   PORT  default 8080
//   HOST  default 127.0.0.1; in a container 0.0.0.0, or nobody outside reaches it
import { createServer } from 'node:http'

const { PORT = '8080', HOST = '127.0.0.1' } = process.env

createServer((request, response) => {
  // /slow?ms=300 answers that much later.
  const ms = Number(/[?&]ms=(\d+)/.exec(request.url ?? '')?.[1] ?? 0)
  setTimeout(() => response.end(`${process.pid}\n`), ms)
}).listen(Number(PORT), HOST)
