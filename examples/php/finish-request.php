<?php
// A page of PHP-FPM that answers its visitor first and publishes then.
//
// After fastcgi_finish_request() nobody can be told that something went wrong: the answer is gone. So whatever is published
// there needs the fallback. And whatever must not be lost when this process is killed in between (request_terminate_timeout,
// a deploy, lack of memory) is published before: the relay answers within a few milliseconds.

declare(strict_types=1);

require __DIR__ . '/relay.php';

$relay = new RelayPublisher(
    $_SERVER['RELAY_ADDRESS'] ?? 'unix:///run/forksafe-relay/relay.sock',
    fallback: new RelayFallback($_SERVER['RELAY_FALLBACK'] ?? '/var/lib/shop/relay.jsonl'),
);
$order = (string) ($_GET['order'] ?? '');

try {
    $relay->publish('feed', "$order ordered", id: "order-$order", key: "order-$order");
} catch (RelayRefused | RelayUnavailable $problem) {
    http_response_code($problem instanceof RelayRefused ? 400 : 503);
    header('Content-Type: text/plain');
    exit("Your order was not taken.\n");
}
header('Content-Type: text/plain');
echo "Thank you for order $order.\n";

// A session stays locked, and an output buffer unsent, until they are closed.
if (session_status() === PHP_SESSION_ACTIVE) {
    session_write_close();
}
if (function_exists('fastcgi_finish_request')) {
    fastcgi_finish_request();
}

// The visitor has the answer; this process is still busy, and counts among pm.max_children until it ends.
try {
    $relay->publish('feed', "$order seen", id: "seen-$order", key: "order-$order", ttl: 3600);
} catch (RelayRefused | RelayUnavailable $problem) {
    error_log("order $order: {$problem->getMessage()}");
}
