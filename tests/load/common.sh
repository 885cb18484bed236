# shellcheck shell=bash
# Sourced by tests/bench/run and tests/soak/run: processes, ports, the emulator, small waits.
#
# Everything that is started here is ended by its process id when the script ends, however it
# ends, and the scratch directory is removed (kept and named if KEEP=1).

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch=$(mktemp -d "${TMPDIR:-/tmp}/credvend.XXXXXX")
# Where a daemon leaves word of itself.
export RUNTIME_DIRECTORY=$scratch
running=()

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$0: $*"
    exit 1
}

# Without CI=true, what cannot be had is left out; with it, that is an error.
left_out() {
    [ "${CI:-}" = true ] && die "$*"
    say "left out: $*"
    exit 0
}

# install PROGRAM PACKAGE: by apt, if the program is missing; false if it cannot be had.
install_program() {
    command -v "$1" >/dev/null && return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing $2"
    {
        apt-get install -y --no-install-recommends "$2" ||
            { apt-get update && apt-get install -y --no-install-recommends "$2"; }
    } >"$scratch/apt.log" 2>&1 </dev/null || return 1
    command -v "$1" >/dev/null
}

# start LOG COMMAND…: in the background; its process id is in $started.
start() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    started=$!
    running+=("$started")
}

# stop PID: asks it to end, and makes it after 10 s.
stop() {
    local waited
    kill -TERM "$1" 2>/dev/null || return 0
    for ((waited = 0; waited < 100; waited++)); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

clean_up() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in "${running[@]}"; do
        stop "$pid"
    done
    if [ "${KEEP:-}" = 1 ]; then
        say "kept: $scratch"
    else
        rm -rf "$scratch" || say "left behind: $scratch"
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A loopback port nobody listens on, outside the range the kernel takes for itself.
free_port() {
    local port
    while :; do
        port=$((10000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%s' "$port"
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || die "no $what in time; logs: $(tail -n 5 "$scratch"/*.log 2>/dev/null)"
        sleep 0.1
    done
}

# emulator_start PORT: and wait until it answers.
emulator_start() {
    start "$scratch/emulator.log" "$credvend" emulator --listen "127.0.0.1:$1"
    wait_for 10 "emulator" curl -sf "http://127.0.0.1:$1/_emulator/calls"
}

# emulator_post PORT PATH JSON
emulator_post() {
    curl -sS --fail-with-body -H 'Content-Type: application/json' --data-binary "$3" \
        "http://127.0.0.1:$1/_emulator/$2" || die "the emulator refused POST /_emulator/$2"
}

# emulator_key PORT: a key of its account, in $scratch/key-id and $scratch/key-secret.
emulator_key() {
    umask 077
    emulator_post "$1" keys '{}' >"$scratch/key"
    json_value id <"$scratch/key" | tr -d '\n' >"$scratch/key-id"
    json_value secret <"$scratch/key" | tr -d '\n' >"$scratch/key-secret"
}

# fleet PORT COUNT DURATION: roles role-0 and so on at the emulator; prints their tables, which
# sign with the key `fleet`, and that key's.
fleet() {
    local port=$1 count=$2 duration=$3 role
    for ((role = 0; role < count; role++)); do
        printf 'next\nurl = "http://127.0.0.1:%s/_emulator/roles"\nheader = "Content-Type: application/json"\n' "$port"
        printf 'data = "{\\"name\\": \\"role-%s\\"}"\noutput = "/dev/null"\nfail\nsilent\n' "$role"
    done | tail -n +2 | curl --config - || die "the emulator refused one of $count roles"
    cat <<END
[key.fleet]
cloud = "tencent"
id = "file:$scratch/key-id"
secret = "file:$scratch/key-secret"
END
    for ((role = 0; role < count; role++)); do
        cat <<END
[role.role-$role.provider.tencent-assume-role]
source = "fleet"
role-arn = "qcs::cam::uin/100000000001:roleName/role-$role"
session-name = "fleet"
duration = "$duration"
region = "ap-guangzhou"
endpoint = "http://127.0.0.1:$port"
END
    done
}

# fleet_names COUNT: as an array of TOML.
fleet_names() { printf '['; seq -f '"role-%.0f",' -s ' ' 0 $(($1 - 1)) | tr '\n' ']'; }

# fleet_is_up PID METRICS-PORT COUNT
fleet_is_up() {
    kill -0 "$1" && [ "$(curl -s "http://127.0.0.1:$2/metrics" | grep -c '^credvend_role_up{.*} 1')" = "$3" ]
}

# The value of a text or number in one line of JSON.
json_value() { sed -nE "s/.*\"$1\": *\"?([^\",}]*).*/\1/p"; }

# $CREDVEND_BIN, or a release build of this tree, in $credvend.
build_credvend() {
    if [ -n "${CREDVEND_BIN:-}" ]; then
        credvend=$CREDVEND_BIN
    else
        cargo build --release --quiet --bin credvend >&2
        credvend=${CARGO_TARGET_DIR:-target}/release/credvend
    fi
    [ -x "$credvend" ] || die "$credvend is no program"
}
