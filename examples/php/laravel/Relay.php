<?php
// The service that the application's code asks for: messages are JSON, and of one client as a rule. What goes over the wire
// is in relay.php.

declare(strict_types=1);

namespace App\Relay;

final class Relay
{
    public function __construct(private readonly \RelayPublisher $relay, private readonly ?\RelayFallback $fallback)
    {
    }

    /** @return array{id: string, state: string} @throws \RelayRefused|\RelayUnavailable|\JsonException */
    public function publish(string $client, mixed $payload, ?string $id = null, ?string $key = null, ?int $ttl = null): array
    {
        return $this->relay->publish($client, json_encode($payload, JSON_THROW_ON_ERROR), id: $id, key: $key, ttl: $ttl);
    }

    /** For the scheduler, each minute: `$schedule->call(fn (Relay $relay) => $relay->flush())->everyMinute()`. */
    public function flush(): array
    {
        return $this->fallback?->flush($this->relay)
            ?? ['handedIn' => 0, 'expired' => 0, 'refused' => 0, 'isDone' => true, 'why' => ''];
    }
}
