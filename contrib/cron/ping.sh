#!/bin/sh
# Tells a relay of runs of jobs, from scripts of any POSIX shell, with curl. To be read:
#
#   . /usr/local/lib/pushrelay/ping.sh
#
# pushrelay_run JOB COMMAND [ARGUMENT...]
#   runs the command, and tells of its start and its end. Its exit status is the
#   command's.
#
# pushrelay_ping JOB start|success|fail|EXIT_CODE [NAME=VALUE...]
#   tells of one of them. Always succeeds. NAME=VALUE is any other parameter of a ping:
#
#   pushrelay_ping nightly start 'schedule=0 3 * * *' tz=Europe/Berlin grace=30m
#   nightly-report
#   pushrelay_ping nightly $?
#
# PUSHRELAY_URL names the relay, by default http://localhost:9091. One that is down
# costs at most 10 s and a line on stderr. One that asks for a token gets that of the file
# that PUSHRELAY_TOKEN_FILE names, or else that of PUSHRELAY_TOKEN.

# The bodies are subshells, so that no variable and no option of the caller changes.
pushrelay_ping() (
    set +eux -f
    if [ $# -lt 2 ]; then
        echo "pushrelay_ping: give a job, and start, success, fail or an exit code" >&2
        exit 0
    fi
    job=$1
    case $2 in
    start | success | fail) outcome=status=$2 ;;
    *) outcome=exit_code=$2 ;;
    esac
    shift 2
    for parameter; do
        set -- "$@" --data-urlencode "$parameter"
        shift
    done
    url=${PUSHRELAY_URL:-http://localhost:9091}
    token=${PUSHRELAY_TOKEN:-}
    if [ -n "${PUSHRELAY_TOKEN_FILE:-}" ] && ! token=$(cat "$PUSHRELAY_TOKEN_FILE" 2>&1); then
        printf 'pushrelay_ping: %s: not reported: %s\n' "$job" "$token" >&2
        exit 0
    fi
    # The token, and the URL, which may hold a password, come by standard input: command
    # lines are no secrets.
    answer=$({
        printf 'url = "%s/api/v1/ping"\n' "${url%/}"
        [ -z "$token" ] || printf 'header = "Authorization: Bearer %s"\n' "$token"
    } |
        curl --config - --silent --show-error --max-time 10 --write-out '\n%{http_code}' \
            --data-urlencode "job=$job" --data-urlencode "$outcome" "$@" 2>&1)
    case $answer in
    *"
200") said=${answer%?200} said=${said#OK} ;;
    *) said="not reported: $answer" ;;
    esac
    # shellcheck disable=SC2086 # its lines become one
    set -- $said
    [ $# -eq 0 ] || printf 'pushrelay_ping: %s: %s\n' "$job" "$*" >&2
    exit 0
)

pushrelay_run() (
    set +eu
    if [ $# -lt 2 ]; then
        echo "pushrelay_run: give a job and a command" >&2
        exit 2
    fi
    job=$1
    shift
    # A name for the run, so that runs may overlap.
    rid=$(cat /proc/sys/kernel/random/uuid 2>/dev/null) || rid=$$-$(date +%s)
    instance=$(uname -n)
    pushrelay_ping "$job" start "rid=$rid" "instance=$instance"
    "$@"
    status=$?
    pushrelay_ping "$job" "$status" "rid=$rid" "instance=$instance"
    exit "$status"
)
