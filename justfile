# The house's tasks. `just` lists them.

_default:
    @just --list

# All tests, as CI runs them: installs what they need, starts Docker if none runs.
test *args:
    ./test {{ args }}

# The quick half: everything that needs neither Docker nor a network namespace.
quick:
    cargo test -p landfall-model -p landfall-proxy -p landfall-agent -p landfall-sim -p landfall-load

# Formatting, lints, walls.
lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test -p landfall --test walls

# Bans, licences, sources (needs cargo-deny).
deny:
    cargo deny check bans licenses sources

# Known holes of what is used (needs cargo-deny and the network): before each release, and the floors in deny.toml after it.
advisories:
    cargo deny check advisories

# Rewrites golden files from what the code does now. Read the difference before you commit it.
bless:
    BLESS=1 cargo test -p landfall-model --test compose_cases --test rules --test codes --test support_page
    BLESS=1 cargo test -p landfall-sim
    BLESS=1 cargo test -p landfall --test cli

# The measurements; see bench/README.md.
bench name:
    bench/{{ name }}

# Every fuzz target for so many seconds (needs cargo-fuzz).
fuzz seconds="10":
    fuzz/run {{ seconds }}

# Asks Docker Compose again what the parity cases expect; `program` is a docker-compose 2.
expect program *args:
    cases/compose/expect --compose {{ program }} {{ args }}
