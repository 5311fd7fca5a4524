# Starts the services of the tests once, each on a free port of the loopback interface, with its data in a
# fresh folder; stops them by the pids it started.  Sourced by tests/run, after setup.sh.

service_pids=()

free_ports() { # COUNT: ports that were free a moment ago, all different
  python3 -c '
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))' "$1"
}

# `launch NAME command…`: in the background, its output in a log file, and told to stop should this script be killed.
launch() {
  local name=$1
  shift
  mkdir -p "$run_dir/$name"
  setpriv --pdeathsig TERM -- "$@" >"$run_dir/$name/log" 2>&1 </dev/null &
  service_pids+=($!)
  eval "${name}_pid=$!"
}

# `await NAME command…`: until the command succeeds, at most a minute, and only while the service lives.
await() {
  local name=$1 pid_variable=${1}_pid
  shift
  for _ in $(seq 600); do
    "$@" >/dev/null 2>&1 && return
    kill -0 "${!pid_variable}" 2>/dev/null || break
    sleep 0.1
  done
  tail -40 "$run_dir/$name/log" >&2
  fail "$name did not start; the lines above are its log"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_services() {
  run_dir=$(mktemp -d "${TMPDIR:-/tmp}/calve-tests.XXXXXX")
  chmod 711 "$run_dir" # PostgreSQL's user must reach its folder
  local kafka controller rest s3 postgres
  read -r kafka controller rest s3 postgres < <(free_ports 5)
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testtest AWS_REGION=us-east-1
  launch kafka "$services/kafka.sh" "$cache/kafka" "$run_dir/kafka" "$kafka" "$controller"
  launch s3 "$services/s3.sh" "$CALVE_TEST_S3_SERVER" "$cache" "$run_dir/s3" "$s3" warehouse
  launch postgres "$services/postgres.sh" "$(postgres_bin)" "$run_dir/postgres" "$postgres"
  await s3 curl -fsS "http://127.0.0.1:$s3/healthz"
  # SeaweedFS makes the bucket a little after it is healthy.
  [ "$CALVE_TEST_S3_SERVER" != seaweedfs ] || await s3 curl -fsSI --aws-sigv4 aws:amz:us-east-1:s3 --user test:testtest "http://127.0.0.1:$s3/warehouse"
  S3_ENDPOINT=http://127.0.0.1:$s3 launch rest "$services/rest.sh" "$cache/rest" "$run_dir/rest" "$rest" s3://warehouse/rest
  await rest curl -fsS "http://127.0.0.1:$rest/v1/config"
  await postgres "$(postgres_bin)/psql" -h 127.0.0.1 -p "$postgres" -U calve -d postgres -c 'create database calve'
  await kafka port_open "$kafka"
  # Not for the tests: calve is told its keys as a user would tell it.
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION
  export CALVE_TEST_KAFKA=127.0.0.1:$kafka CALVE_TEST_KAFKA_JARS=$cache/kafka CALVE_TEST_FLINK_JARS=$cache/flink
  export CALVE_TEST_REST=http://127.0.0.1:$rest
  export CALVE_TEST_S3_ENDPOINT=http://127.0.0.1:$s3 CALVE_TEST_S3_BUCKET=warehouse
  export CALVE_TEST_S3_ACCESS_KEY=test CALVE_TEST_S3_SECRET_KEY=testtest
  export CALVE_TEST_POSTGRES=postgres://calve@127.0.0.1:$postgres/calve
  export CALVE_TEST_PYTHON=$cache/venv/bin/python
}

stop_services() {
  local pid
  for pid in ${service_pids[@]+"${service_pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
  for pid in ${service_pids[@]+"${service_pids[@]}"}; do
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  service_pids=()
  if [ -n "${CALVE_TEST_KEEP:-}" ]; then echo "kept: $run_dir" >&2; else rm -rf "${run_dir:?}"; fi
}
