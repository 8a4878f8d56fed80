<?php
// Publishes through a relay (supervisor relay) from PHP that ends soon: FPM requests, cron jobs, CLI scripts. No framework
// and no extension is needed. When the relay is down a message goes to a local file, which flush-relay.php hands in later
// under the same id. To be copied into your project; PHP 8.1 or newer.

declare(strict_types=1);

/** Not taken now; the same call with the same id is harmless later. */
final class RelayUnavailable extends RuntimeException
{
}

/** Not taken, and never will be as it is: a wrong id, an unknown client, too large. */
final class RelayRefused extends RuntimeException
{
    public function __construct(string $message, public readonly int $status, public readonly string $problem = '')
    {
        parent::__construct($message);
    }
}

final class RelayPublisher
{
    /**
     * @param string $address `unix:///path` or `tcp://127.0.0.1:PORT`; the latter needs the token.
     * @param float $connectTimeout Seconds until the relay has to be reached.
     * @param float $timeout Seconds for everything after that, beside what a message waits for its delivery (`wait`).
     * @param ?RelayFallback $fallback Where messages go when the relay is down; null: RelayUnavailable is thrown.
     */
    public function __construct(
        private readonly string $address = 'unix:///run/forksafe-relay/relay.sock',
        private readonly float $connectTimeout = 0.5,
        private readonly float $timeout = 3.0,
        private readonly ?RelayFallback $fallback = null,
        private readonly ?string $token = null,
    ) {
    }

    /**
     * Hands one message in. When it returns, the message is on disk: the relay's, or (state `kept`) that of the fallback.
     *
     * @param ?string $id By which a repetition is known; an order's number, say. Null: one is made.
     * @param ?int $ttl Seconds after which nobody wants the message any more.
     * @param ?string $key Messages of one key are to keep their order.
     * @param ?int $wait Seconds to wait for the delivery: the state is `delivered` then, or still `queued`.
     * @return array{id: string, state: string} and what else the relay said.
     * @throws RelayRefused|RelayUnavailable
     */
    public function publish(
        string $client,
        string $message,
        ?string $id = null,
        ?int $ttl = null,
        ?string $key = null,
        ?int $wait = null,
        bool $binary = false,
    ): array {
        $id ??= bin2hex(random_bytes(16));
        $kept = ['client' => $client, 'id' => $id, 'data' => $message, 'binary' => $binary, 'ttl' => $ttl, 'key' => $key];
        // What keeps its order must not overtake those that are in the file already.
        if ($key !== null && $this->fallback?->isHolding()) {
            return $this->keep($kept, null);
        }
        $headers = [
            'Content-Type' => $binary ? 'application/octet-stream' : 'text/plain; charset=utf-8',
            'Idempotency-Key' => $id,
            'TTL' => $ttl,
            'Ordering-Key' => $key,
            'Prefer' => $wait === null ? null : "wait=$wait",
        ];
        try {
            [, $answer] = $this->ask('POST', '/v1/' . rawurlencode($client), $headers, $message, $wait ?? 0);
        } catch (RelayUnavailable $down) {
            return $this->keep($kept, $down);
        }
        return $answer + ['id' => $id, 'state' => 'queued'];
    }

    /**
     * Many at once, with one answer and one write to disk.
     *
     * @param list<array{data: string, id?: string, ttl?: int, key?: string, binary?: bool}> $messages At most 10,000.
     * @return list<array{id: string, state?: string, error?: array}> In their order; `error` of those that were not taken.
     * @throws RelayRefused nothing was taken.
     * @throws RelayUnavailable nothing is known to have been taken: call again with the same ids. The fallback is not used.
     */
    public function publishBatch(string $client, array $messages): array
    {
        if ($messages === []) {
            return [];
        }
        $lines = array_map(static function (array $message): string {
            $isBinary = $message['binary'] ?? false;
            $line = array_filter(
                [
                    'id' => $message['id'] ?? bin2hex(random_bytes(16)),
                    'ttl' => $message['ttl'] ?? null,
                    'key' => $message['key'] ?? null,
                    $isBinary ? 'base64' : 'data' => $isBinary ? base64_encode($message['data']) : $message['data'],
                ],
                static fn (mixed $value): bool => $value !== null,
            );
            return json_encode($line, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
        }, $messages);
        $headers = ['Content-Type' => 'application/x-ndjson'];
        $path = '/v1/' . rawurlencode($client) . '/batch';
        [, $answer] = $this->ask('POST', $path, $headers, implode("\n", $lines) . "\n", 0);
        return is_array($answer['results'] ?? null)
            ? $answer['results']
            : throw new RelayUnavailable('the relay answered a batch without results');
    }

    /** What became of a message; null: its id is not known (any more). @return ?array{id: string, state: string} */
    public function fate(string $client, string $id): ?array
    {
        try {
            return $this->ask('GET', '/v1/' . rawurlencode($client) . '/messages/' . rawurlencode($id), [], '', 0)[1];
        } catch (RelayRefused $refused) {
            return $refused->status === 404 ? null : throw $refused;
        }
    }

    private function keep(array $message, ?RelayUnavailable $down): array
    {
        if ($this->fallback === null) {
            throw $down ?? new RelayUnavailable('there is no fallback');
        }
        $this->fallback->append($message);
        return ['id' => $message['id'], 'state' => 'kept'];
    }

    /** @return array{int, array} Status and JSON of an answer that is a success. */
    private function ask(string $method, string $path, array $headers, string $body, int $wait): array
    {
        $headers += ['Host' => 'localhost', 'Connection' => 'close', 'Content-Length' => strlen($body)];
        if ($this->token !== null) {
            $headers['Authorization'] = "Bearer {$this->token}";
        }
        $head = "$method $path HTTP/1.1\r\n";
        foreach ($headers as $name => $value) {
            // A line break would begin a header of its own.
            if (preg_match('/[\r\n\0]/', (string) $value) === 1) {
                throw new RelayRefused("$name must not hold a line break", 400);
            }
            $head .= $value === null ? '' : "$name: $value\r\n";
        }
        $socket = @stream_socket_client($this->address, $errno, $error, $this->connectTimeout);
        if ($socket === false) {
            throw new RelayUnavailable("no relay at {$this->address}: $error");
        }
        try {
            stream_set_blocking($socket, false);
            $deadline = microtime(true) + $this->timeout + $wait;
            $this->write($socket, "$head\r\n$body", $deadline);
            [$status, $text] = $this->read($socket, $deadline);
        } finally {
            fclose($socket);
        }
        $answer = json_decode($text, true);
        if (!is_array($answer)) {
            throw new RelayUnavailable("the relay answered $status with something that is no JSON");
        }
        if ($status < 300) {
            return [$status, $answer];
        }
        $why = (string) ($answer['detail'] ?? $answer['title'] ?? "status $status");
        throw $status >= 500 || $status === 408
            ? new RelayUnavailable($why)
            : new RelayRefused($why, $status, (string) ($answer['code'] ?? ''));
    }

    /** @param resource $socket */
    private function write($socket, string $bytes, float $deadline): void
    {
        while ($bytes !== '') {
            $this->until($socket, $deadline, toWrite: true);
            $written = @fwrite($socket, $bytes);
            // A relay that refuses may answer before it has read everything, and close: the answer is what counts.
            if ($written === false || ($written === 0 && feof($socket))) {
                return;
            }
            $bytes = substr($bytes, $written);
        }
    }

    /** @param resource $socket @return array{int, string} */
    private function read($socket, float $deadline): array
    {
        $answer = '';
        for (;;) {
            $end = strpos($answer, "\r\n\r\n");
            if ($end !== false && preg_match('/\r\ncontent-length: *(\d+)\r\n/i', substr($answer, 0, $end + 2), $found)) {
                if (strlen($answer) >= $end + 4 + (int) $found[1]) {
                    break;
                }
            }
            $this->until($socket, $deadline, toWrite: false);
            $piece = @fread($socket, 65_536);
            if ($piece === false || ($piece === '' && feof($socket))) {
                throw new RelayUnavailable('the relay ended the connection before it had answered');
            }
            $answer .= $piece;
        }
        if (preg_match('~^HTTP/1\.[01] (\d{3}) ~', $answer, $line) !== 1) {
            throw new RelayUnavailable('what listens there does not speak HTTP');
        }
        return [(int) $line[1], substr($answer, $end + 4, (int) $found[1])];
    }

    /** @param resource $socket */
    private function until($socket, float $deadline, bool $toWrite): void
    {
        $left = $deadline - microtime(true);
        $readers = $toWrite ? null : [$socket];
        $writers = $toWrite ? [$socket] : null;
        $nothing = null;
        $isReady = $left > 0 ? stream_select($readers, $writers, $nothing, (int) $left, (int) (fmod($left, 1) * 1e6)) : 0;
        if ($isReady === 0) {
            throw new RelayUnavailable('the relay did not answer in time');
        }
    }
}

/**
 * Messages that wait on this machine for a relay that is down: a file that is only appended to, a JSON line each. Requests
 * append at the same time, one at a time (LOCK_EX); flush() takes the whole file away first, so that it holds up nobody.
 */
final class RelayFallback
{
    private const MOST_AT_ONCE = 500;
    private const MOST_BYTES_AT_ONCE = 4 << 20;

    /** @param string $file On a real disk, in a folder that only this user can write to. @param int $maxBytes Beyond it RelayUnavailable is thrown. */
    public function __construct(private readonly string $file, private readonly int $maxBytes = 64 << 20)
    {
    }

    public function isHolding(): bool
    {
        clearstatcache();
        return (@filesize($this->file) ?: 0) > 0 || file_exists("{$this->file}.handing");
    }

    /** When it returns the message is on disk. @throws RelayUnavailable */
    public function append(array $message): void
    {
        $message['data'] = base64_encode($message['data']);
        $line = json_encode(['at' => time()] + $message, JSON_THROW_ON_ERROR) . "\n";
        $file = $this->openLocked();
        try {
            $size = fstat($file)['size'];
            if ($size + strlen($line) > $this->maxBytes) {
                throw new RelayUnavailable("the relay is down, and {$this->file} is full");
            }
            // Somebody was killed in the middle of a line: it is to spoil no other.
            fseek($file, -1, SEEK_END);
            $line = $size > 0 && fread($file, 1) !== "\n" ? "\n$line" : $line;
            if (@fwrite($file, $line) !== strlen($line) || !fflush($file) || !fsync($file)) {
                ftruncate($file, $size);
                throw new RelayUnavailable("the relay is down, and {$this->file} cannot be written");
            }
        } finally {
            fclose($file);
        }
    }

    /**
     * Hands in what is there, in order, under the ids of the first attempt. Two runs at once are harmless: the second
     * returns at once. A run that was killed is gone on with by the next.
     *
     * @return array{handedIn: int, expired: int, refused: int, isDone: bool, why: string} What the relay refuses for good is
     *   in FILE.refused, with the reason. Not done: another run, or the relay is down.
     */
    public function flush(RelayPublisher $relay): array
    {
        $count = ['handedIn' => 0, 'expired' => 0, 'refused' => 0, 'isDone' => false, 'why' => ''];
        $lock = fopen("{$this->file}.flush", 'c');
        if ($lock === false || !flock($lock, LOCK_EX | LOCK_NB)) {
            return ['why' => 'another run is at work'] + $count;
        }
        try {
            while ($this->takeAway()) {
                $this->handIn($relay, $count);
            }
            return ['isDone' => true] + $count;
        } catch (RelayUnavailable $down) {
            return ['why' => $down->getMessage()] + $count;
        } finally {
            fclose($lock);
        }
    }

    /** @return resource The file that bears the name at the moment in which it is locked. */
    private function openLocked()
    {
        for (;;) {
            $mask = umask(0077);
            $file = @fopen($this->file, 'a+');
            umask($mask);
            if ($file === false || !flock($file, LOCK_EX)) {
                throw new RelayUnavailable("the relay is down, and {$this->file} cannot be opened");
            }
            clearstatcache();
            if ((@fileinode($this->file) ?: -1) === fstat($file)['ino']) {
                return $file;
            }
            fclose($file);
        }
    }

    /** Whether there is something to hand in: what an earlier run left, else what has been appended since. */
    private function takeAway(): bool
    {
        clearstatcache();
        if (file_exists("{$this->file}.handing")) {
            return true;
        }
        @unlink("{$this->file}.done");
        if (!file_exists($this->file)) {
            return false;
        }
        $file = $this->openLocked();
        $isTaken = fstat($file)['size'] > 0 && rename($this->file, "{$this->file}.handing");
        fclose($file);
        return $isTaken;
    }

    private function handIn(RelayPublisher $relay, array &$count): void
    {
        $file = fopen("{$this->file}.handing", 'r');
        // So far an earlier run has come: without it a batch would be handed in twice, which its ids make harmless.
        fseek($file, (int) @file_get_contents("{$this->file}.done"));
        for (;;) {
            $batch = $this->nextOf($file, $count);
            if ($batch === []) {
                break;
            }
            $this->publish($relay, $batch, $count);
            file_put_contents("{$this->file}.done", (string) ftell($file));
        }
        fclose($file);
        unlink("{$this->file}.handing");
        @unlink("{$this->file}.done");
    }

    /** The next of one client. @param resource $file @return list<array> */
    private function nextOf($file, array &$count): array
    {
        $batch = [];
        $bytes = 0;
        while (count($batch) < self::MOST_AT_ONCE && $bytes < self::MOST_BYTES_AT_ONCE) {
            $before = ftell($file);
            $line = fgets($file);
            if ($line === false) {
                break;
            }
            $message = json_decode($line, true);
            if (!is_array($message) || !isset($message['client'], $message['id'], $message['data'])) {
                $this->setAside(rtrim($line), 'this line is not whole', $count);
                continue;
            }
            if ($batch !== [] && $message['client'] !== $batch[0]['client']) {
                fseek($file, $before);
                break;
            }
            $message['data'] = base64_decode($message['data']);
            if (isset($message['ttl'])) {
                $message['ttl'] -= time() - $message['at'];
                if ($message['ttl'] < 1) {
                    $count['expired']++;
                    continue;
                }
            }
            $batch[] = $message;
            $bytes += strlen($line);
        }
        return $batch;
    }

    /** @param non-empty-list<array> $batch @throws RelayUnavailable */
    private function publish(RelayPublisher $relay, array $batch, array &$count): void
    {
        try {
            $results = $relay->publishBatch($batch[0]['client'], $batch);
        } catch (RelayRefused | JsonException $refused) {
            // One of them is wrong, and nothing was taken: the others are not to suffer for it.
            if (count($batch) > 1) {
                foreach ($batch as $message) {
                    $this->publish($relay, [$message], $count);
                }
                return;
            }
            if ($refused instanceof RelayRefused && in_array($refused->status, [401, 403, 421, 429], true)) {
                throw new RelayUnavailable($refused->getMessage());
            }
            $this->setAside($this->lineOf($batch[0]), $refused->getMessage(), $count);
            return;
        }
        foreach ($batch as $at => $message) {
            $error = $results[$at]['error'] ?? null;
            if ($error === null) {
                $count['handedIn']++;
            } elseif (isset($error['retryAfter'])) {
                throw new RelayUnavailable((string) ($error['detail'] ?? 'the relay has no room'));
            } else {
                $this->setAside($this->lineOf($message), (string) ($error['detail'] ?? 'refused'), $count);
            }
        }
    }

    private function lineOf(array $message): string
    {
        return json_encode(['data' => base64_encode($message['data'])] + $message, JSON_THROW_ON_ERROR);
    }

    private function setAside(string $line, string $why, array &$count): void
    {
        $count['refused']++;
        $row = json_encode(['why' => $why, 'line' => $line], JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        $mask = umask(0077);
        file_put_contents("{$this->file}.refused", "$row\n", FILE_APPEND | LOCK_EX);
        umask($mask);
    }
}
