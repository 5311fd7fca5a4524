import java.util.HashMap;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * Kafka to an Iceberg table in Flink SQL, in one JVM (a local cluster), to the ends that the topic has at the start.
 *
 * <p>Arguments are KEY=VALUE: brokers, topic, catalog, table, parallelism, interval_ms, checkpoints, and after a crash
 * restore, the path of a checkpoint. What is set beyond the defaults, as its documentation has it best for this job:
 *
 * <ul>
 *   <li>object reuse: https://nightlies.apache.org/flink/flink-docs-release-2.0/docs/dev/datastream/execution/execution_configuration/
 *   <li>RocksDB, incremental: https://nightlies.apache.org/flink/flink-docs-release-2.0/docs/ops/state/state_backends/
 *   <li>no shuffle before the writers: https://iceberg.apache.org/docs/1.10.0/flink-writes/#distribution-mode
 *   <li>no memory for batch and Python; network buffers for a graph without exchange
 * </ul>
 */
public class Job {
  public static void main(String[] arguments) throws Exception {
    Map<String, String> is = new HashMap<>();
    for (String argument : arguments) {
      is.put(argument.substring(0, argument.indexOf('=')), argument.substring(argument.indexOf('=') + 1));
    }
    Configuration settings = new Configuration();
    for (String host : new String[] {"jobmanager.bind-host", "taskmanager.bind-host", "taskmanager.host", "rest.bind-address"}) {
      settings.setString(host, "127.0.0.1");
    }
    settings.setString("rest.bind-port", "0");
    settings.setString("taskmanager.numberOfTaskSlots", is.get("parallelism"));
    settings.setString("execution.checkpointing.interval", is.get("interval_ms") + " ms");
    settings.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
    settings.setString("execution.checkpointing.dir", "file://" + is.get("checkpoints"));
    settings.setString("execution.checkpointing.incremental", "true");
    settings.setString("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    settings.setString("state.backend.type", "rocksdb");
    settings.setString("pipeline.object-reuse", "true");
    settings.setString("taskmanager.memory.network.min", "128m");
    settings.setString("taskmanager.memory.network.max", "128m");
    settings.setString("taskmanager.memory.managed.size", "256m");
    if (is.containsKey("restore")) {
      settings.setString("execution.state-recovery.path", is.get("restore"));
    }
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(settings);
    environment.setParallelism(Integer.parseInt(is.get("parallelism")));
    StreamTableEnvironment sql = StreamTableEnvironment.create(environment);
    sql.executeSql("create catalog lake with ('type'='iceberg', 'catalog-type'='rest', 'uri'='" + is.get("catalog") + "')");
    sql.executeSql(
        "create temporary table samples (sample_id string, user_id string, device_id string, data_type string,"
            + " `value` double, unit string, start_time timestamp_ltz(6), end_time timestamp_ltz(6), source_bundle string)"
            + " with ('connector'='kafka', 'topic'='" + is.get("topic") + "', 'properties.bootstrap.servers'='" + is.get("brokers")
            + "', 'properties.group.id'='flink', 'scan.startup.mode'='earliest-offset', 'scan.bounded.mode'='latest-offset',"
            + " 'format'='json', 'json.timestamp-format.standard'='ISO-8601')");
    sql.executeSql("insert into lake." + is.get("table") + " /*+ options('distribution-mode'='none') */ select * from samples")
        .await();
    System.exit(0);
  }
}
