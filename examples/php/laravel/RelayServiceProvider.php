<?php
// app/Relay/RelayServiceProvider.php of a Laravel application: one Relay for a request, made when it is first asked for.

declare(strict_types=1);

namespace App\Relay;

use Illuminate\Support\ServiceProvider;

final class RelayServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->mergeConfigFrom(__DIR__ . '/config/relay.php', 'relay');
        $this->app->singleton(Relay::class, static function ($app): Relay {
            $config = $app['config']['relay'];
            $fallback = $config['fallback'] === null ? null : new \RelayFallback($config['fallback']);
            $relay = new \RelayPublisher(
                $config['address'],
                (float) $config['connect_timeout'],
                (float) $config['timeout'],
                $fallback,
                $config['token'],
            );
            return new Relay($relay, $fallback);
        });
    }
}
