#!/usr/bin/env bash
# PostgreSQL in the foreground, in a folder of its own:  postgres.sh BIN FOLDER PORT
# It must not run as root: started by root, it runs as the user postgres (or nobody).  User: calve, no password.
set -euo pipefail
bin=$1 dir=$2 port=$3 as=()
mkdir -p "$dir"
if [ "$(id -u)" = 0 ]; then
  user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  chown "$user" "$dir"
  # --pdeathsig again: a change of user clears the one that tests/run asked for.
  as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups --pdeathsig INT --)
fi
cd "$dir"
[ -e "$dir/data/PG_VERSION" ] ||
  ${as[@]+"${as[@]}"} "$bin/initdb" -D "$dir/data" -U calve --auth=trust --encoding=UTF8 --no-sync >/dev/null
exec ${as[@]+"${as[@]}"} "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories="$dir" -c fsync=off
