// What lsof prints for programs, on Linux and on macOS; the latter as its manual and its source say, for it is not run here.

import t from 'tap'
import { LsofReader } from '../../src/audit/lsof-rows.js'

const read = (text: string) => {
  const reader = new LsofReader()
  for (const line of text.trim().split('\n')) reader.read(line.trim())
  reader.end()
  return reader.processes
}

t.test('Linux: processes with their sockets, and nothing else of them', async (t) => {
  const processes = read(`
    p3377
    R3374
    cnode
    f0
    tCHR
    i3
    n/dev/null
    f19
    tIPv6
    d6190282
    PTCP
    n*:45967
    TST=LISTEN
    TQR=0
    f20
    tIPv4
    d6190283
    PTCP
    n127.0.0.1:39500->127.0.0.1:45967
    TST=ESTABLISHED
    f22
    tIPv6
    d6190285
    PTCP
    n[::1]:37222->[::1]:45967
    TST=CLOSE_WAIT
    f24
    tIPv4
    d6190287
    PUDP
    n127.0.0.1:46895
    f25
    tIPv6
    d6190288
    PUDP
    n[::1]:43325->[::1]:46895
    f26
    tunix
    d0x00000000237ac36a
    i6189410
    n/tmp/a.sock type=STREAM
    TST=LISTEN
    f27
    tunix
    d0x00000000b61901d5
    i6189411
    ntype=STREAM
    TST=CONNECTED
    f29
    tunix
    d0x000000005ab360be
    i6189413
    n@name@@@@ type=DGRAM
    TST=UNCONNECTED
    f30
    tsock
    d0,8
    i6189414
    nprotocol: TCP
    p12
    R1
    csh
  `)
  const row = { local: null, remote: null, path: null }
  const at = (address: string, port: number) => ({ address, port })
  t.same([...processes.keys()], [3377, 12])
  t.match(processes.get(3377), { ppid: 3374, command: 'node' })
  t.same(processes.get(3377)?.sockets, [
    { ...row, fd: 19, inode: 6190282, kind: 'tcp', state: 'listen', local: at('::', 45967) },
    {
      ...row,
      fd: 20,
      inode: 6190283,
      kind: 'tcp',
      state: 'established',
      local: at('127.0.0.1', 39500),
      remote: at('127.0.0.1', 45967),
    },
    {
      ...row,
      fd: 22,
      inode: 6190285,
      kind: 'tcp',
      state: 'close-wait',
      local: at('::1', 37222),
      remote: at('::1', 45967),
    },
    { ...row, fd: 24, inode: 6190287, kind: 'udp', state: 'bound', local: at('127.0.0.1', 46895) },
    {
      ...row,
      fd: 25,
      inode: 6190288,
      kind: 'udp',
      state: 'connected',
      local: at('::1', 43325),
      remote: at('::1', 46895),
    },
    { ...row, fd: 26, inode: 6189410, kind: 'unix', state: 'listen', path: '/tmp/a.sock' },
    { ...row, fd: 27, inode: 6189411, kind: 'unix', state: 'established' },
    { ...row, fd: 29, inode: 6189413, kind: 'unix', state: 'unconnected', path: '@name' },
    { ...row, fd: 30, inode: 6189414, kind: 'other', state: 'close' },
  ])
  t.same(processes.get(12), { ppid: 1, command: 'sh', sockets: [] })
})

t.test('macOS: the kernel’s record stands for the inode', async (t) => {
  const sockets =
    read(`
    p501
    R1
    cnode
    f21
    tIPv4
    d0x5d4f4f2a5d5a9c1f
    PTCP
    n10.0.0.2:50321->93.184.216.34:443
    TST=FIN_WAIT_2
    f22
    tIPv4
    d0x5d4f4f2a5d5a9c27
    PTCP
    n10.0.0.2:50322->93.184.216.34:443
    TST=SYN_SENT
    f23
    tIPv4
    d0x5d4f4f2a5d5a9c1f
    PTCP
    n10.0.0.2:50321->93.184.216.34:443
    TST=FIN_WAIT_2
    f24
    tunix
    d0x5d4f4f2a11111111
    n->0x5d4f4f2a22222222
    f25
    tunix
    d0x5d4f4f2a33333333
    n/var/run/it is.sock
    f26
    tIPv6
    d0x5d4f4f2a44444444
    PTCP
    n[::ffff:10.0.0.2]:80->[fe80::1]:55
    TST=ESTABLISHED
  `).get(501)?.sockets ?? []
  t.same(
    sockets.map(({ state }) => state),
    ['fin-wait-2', 'syn-sent', 'fin-wait-2', 'established', 'unconnected', 'established'],
  )
  const [one, next, again, ...rest] = sockets.map(({ inode }) => inode)
  t.equal(one, again, 'the same socket at two descriptors')
  t.not(one, next, 'two sockets beside each other in memory are two')
  for (const inode of [one, next, ...rest]) t.ok(Number.isSafeInteger(inode) && Number(inode) > 0)
  t.same(
    sockets.map(({ path }) => path),
    [null, null, null, null, '/var/run/it is.sock', null],
  )
  t.match(sockets[5], { local: { address: '10.0.0.2' }, remote: { address: 'fe80::1', port: 55 } })
})

t.test('what is cut or unknown is no socket', async (t) => {
  t.equal(read('').size, 0)
  t.same(read('p1\nfcwd\ntDIR\nn/\nftxt\ntunix').get(1)?.sockets, [], 'no descriptor, no socket')
  t.match(read('p1\nf5\ntIPv4\nPICMP\nn*:*').get(1)?.sockets, [{ kind: 'other' }])
  t.match(read('p1\nf5\ntIPv4\nd77\nPTCP\nn').get(1)?.sockets, [
    { kind: 'tcp', state: 'close', local: { address: '0.0.0.0', port: 0 }, remote: null },
  ])
})
