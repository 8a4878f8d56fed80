<?php
// For cron: hands in what was kept while the relay was down. Usage: php flush-relay.php FILE [ADDRESS].
// Exits 1 when something is left, so that whoever watches cron hears of it.

declare(strict_types=1);

require __DIR__ . '/relay.php';

[, $file, $address] = $argv + [1 => '', 2 => 'unix:///run/forksafe-relay/relay.sock'];
if ($file === '') {
    fwrite(STDERR, "usage: php flush-relay.php FILE [ADDRESS]\n");
    exit(2);
}
$result = (new RelayFallback($file))->flush(new RelayPublisher($address, timeout: 20));
echo json_encode($result), "\n";
exit($result['isDone'] && $result['refused'] === 0 ? 0 : 1);
