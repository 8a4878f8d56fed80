<?php
// config/relay.php of a Laravel application.

return [
    'address' => env('RELAY_ADDRESS', 'unix:///run/forksafe-relay/relay.sock'),
    'token' => env('RELAY_TOKEN'),
    'connect_timeout' => 0.5,
    'timeout' => 3.0,
    // Null: without one, RelayUnavailable is thrown while the relay is down.
    'fallback' => env('RELAY_FALLBACK', storage_path('relay.jsonl')),
];
