# Fetches the peers, once, beside the services of the tests.  Sourced by benches/peers/run.

. tests/services/setup.sh

compile_flink_job() {
  command -v javac >/dev/null || apt_install default-jdk-headless
  rm -rf "$cache/peers/flink-job" &&
    javac -cp "$cache/peers/flink/*" -d "$cache/peers/flink-job" benches/peers/flink/Job.java
}

setup_peers() {
  mkdir -p "$cache/peers"
  exec 9>"$cache/lock" && flock 9
  once peer-flink benches/peers/flink/pom.xml fetch_jars "$PWD/benches/peers/flink/pom.xml" "$cache/peers/flink"
  once peer-flink-job "$(cat benches/peers/flink/{pom.xml,Job.java} | sha256sum)" compile_flink_job
  once peer-connect benches/peers/connect/pom.xml fetch_jars "$PWD/benches/peers/connect/pom.xml" "$cache/peers/connect"
  # Into the environment of the tests, which is made anew when their own list changes.
  once peer-python "$(cat tests/requirements.txt benches/peers/python/requirements.txt | sha256sum)" \
    "$cache/venv/bin/pip" install -q --disable-pip-version-check -r benches/peers/python/requirements.txt
  flock -u 9
}
