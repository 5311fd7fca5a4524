#!/usr/bin/env bash
# One Apache Kafka broker (KRaft) in the foreground:  kafka.sh JARS FOLDER PORT CONTROLLER-PORT
# A folder that already holds a broker's data is started again with it.
# KAFKA_SECURE_PORT: a second listener there, TLS and SASL, for user calve with the password KAFKA_PASSWORD; its
# certificate, made when missing, is FOLDER/cert.pem.
set -euo pipefail
jars=$1 dir=$2 port=$3 controller=$4
mkdir -p "$dir"
cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
num.partitions=6
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.ms=-1
# The compaction tests wait for the cleaner.
log.cleaner.backoff.ms=200
log.initial.task.delay.ms=200
log.retention.check.interval.ms=500
END
cd "$dir"
scram=()
if [ -n "${KAFKA_SECURE_PORT:-}" ]; then
  [ -e server.pem ] || {
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
      -keyout key.pem -out cert.pem 2>/dev/null
    cat key.pem cert.pem >server.pem
  }
  scram=(--add-scram "SCRAM-SHA-512=[name=calve,password=$KAFKA_PASSWORD]")
  # Of a property that is there twice the second counts.
  cat >>server.properties <<END
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller,SECURE://127.0.0.1:$KAFKA_SECURE_PORT
advertised.listeners=PLAINTEXT://127.0.0.1:$port,SECURE://127.0.0.1:$KAFKA_SECURE_PORT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=$dir/server.pem
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_calve="$KAFKA_PASSWORD";
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
END
fi
java=(java "-Xmx${KAFKA_HEAP:-1g}" -XX:+UseSerialGC -XX:TieredStopAtLevel=4 -cp "$jars/*")
[ -e "$dir/data/meta.properties" ] ||
  "${java[@]}" kafka.tools.StorageTool format -t "$(tr -dc A-Za-z0-9 </dev/urandom | head -c 22 || true)" "${scram[@]}" -c server.properties
exec "${java[@]}" kafka.Kafka server.properties
