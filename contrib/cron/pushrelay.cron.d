# For /etc/cron.d, as a file whose name has no dot: /etc/cron.d/pushrelay.
# It must belong to root, and nobody else may write to it.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
MAILTO=root
PUSHRELAY_URL=http://relay.example.org:9091

# Sends reports of root's jobs that did not reach the relay when they were due. Each
# `pushrelay exec` does so for its user; this is for jobs that seldom run.
*/5 * * * * root pushrelay spool flush >/dev/null

# Jobs name the user that they run as before the command.
0 3 * * * root pushrelay exec --schedule '0 3 * * *' --grace 30m -- backup --all
*/10 * * * * www-data pushrelay exec --every 10m --lock skip -- php /srv/app/cron.php
