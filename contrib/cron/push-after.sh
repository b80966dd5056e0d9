#!/bin/sh
# Run a command and push how it went. The exit status is the command's own, and
# a relay that is down harms nothing: it costs a line on stderr.
#
#   push-after.sh JOB COMMAND [ARGUMENT...]
#
# PUSHRELAY_URL names the relay, default http://localhost:9091.
set -u

case ${1:-} in
'' | *[!A-Za-z0-9_.:-]*)
    echo "push-after.sh: give a job name of letters, digits and _ . : -" >&2
    exit 2
    ;;
esac
if [ $# -lt 2 ]; then
    echo "usage: push-after.sh JOB COMMAND [ARGUMENT...]" >&2
    exit 2
fi
job=$1
shift

started=$(date +%s)
"$@"
status=$?
finished=$(date +%s)

report() {
    cat <<END
# TYPE cron_last_exit_code gauge
cron_last_exit_code $status
# TYPE cron_last_duration_seconds gauge
cron_last_duration_seconds $((finished - started))
# TYPE cron_last_finish_timestamp_seconds gauge
cron_last_finish_timestamp_seconds $finished
END
    # Pushed with POST, so that after a failure the last success stays.
    if [ "$status" -eq 0 ]; then
        cat <<END
# TYPE cron_last_success_timestamp_seconds gauge
cron_last_success_timestamp_seconds $finished
END
    fi
}

url=${PUSHRELAY_URL:-http://localhost:9091}
report | curl --silent --show-error --fail --max-time 10 --data-binary @- \
    "${url%/}/metrics/job/$job/instance/$(uname -n)" >/dev/null ||
    echo "push-after.sh: how $job went was not pushed to $url" >&2
exit "$status"
