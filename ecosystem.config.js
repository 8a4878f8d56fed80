// How pm2 runs a supervisor. Copy it beside your app and change `name` and `args`; docs/pm2.md tells the rest.
//
// pm2 5 to 7 read this file of an ES module package only through a named export.
export const apps = [
  {
    name: 'feed',
    // The command of this package; in a project that installed it: ./node_modules/forksafe/bin/supervisor.js
    script: './bin/supervisor.js',
    args: 'start examples/feed/app.js --workers 2',
    interpreter: 'node',
    // Fork mode, and no `instances`: with them pm2 makes the supervisor a cluster worker, and a worker cannot fork.
    exec_mode: 'fork',
    // `online` when all workers are ready, not when the process exists.
    wait_ready: true,
    // How long pm2 waits for that, in ms; it then says `online` all the same, so it is longer than our readyTimeout (30 s).
    listen_timeout: 60_000,
    // After that many ms pm2 kills what is left. Its default, 1600, is too short to drain; ours is stopTimeout (25 s) and a margin.
    kill_timeout: 35_000,
    // Stop by a message to the supervisor alone, instead of a SIGINT to every worker at once. Both work; this is the quiet one.
    shutdown_with_message: true,
    // pm2's own monitor inside our process would end it by process.exit(1) when the pm2 daemon dies, in the middle of its drain.
    pmx: false,
    // 78 is a mistake in the configuration: starting again cannot help.
    stop_exit_codes: [78],
    // Anything else is started again after 100 ms, then ever more slowly, and never given up.
    exp_backoff_restart_delay: 100,
  },
]
