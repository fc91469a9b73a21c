import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import io.debezium.connector.jdbc.JdbcSinkConnectorTask;
import io.debezium.embedded.Connect;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import io.debezium.engine.format.Json;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.MemoryOffsetBackingStore;

/**
 * Debezium's embedded engine over one binlog; a job as JSON on stdin, a report as JSON on stdout.
 *
 * "capture": events as JSON, thrown away. "pipeline": each batch handed to Debezium's JDBC sink, no queue in between.
 * "apply": the JDBC sink alone, from records that were read before the clock started. The clock of the first two starts with the
 * first event, so neither the JVM's start nor the recovery of the schema history counts.
 */
public final class Peer {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final CountDownLatch DONE = new CountDownLatch(1);
    private static JsonNode job;
    private static int wanted;
    private static int seen;
    private static long began;
    private static long beganCpu;
    private static long ended;
    private static long endedCpu;

    private Peer() {}

    /** Where reading begins, as the offset that an earlier run would have left. */
    public static final class Start extends MemoryOffsetBackingStore {
        @Override
        public void start() {
            super.start();
            data.put(bytes("[\"bench\",{\"server\":\"bench\"}]"),
                    bytes(String.format("{\"file\":\"%s\",\"pos\":4,\"gtids\":\"%s\"}",
                            job.get("file").asText(), job.get("gtids").asText())));
        }

        @Override
        public Set<Map<String, Object>> connectorPartitions(String connector) {
            return Set.of();
        }

        private static ByteBuffer bytes(String text) {
            return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
        }
    }

    public static void main(String[] arguments) throws Exception {
        job = MAPPER.readTree(System.in);
        wanted = job.get("rows").asInt();
        try {
            switch (arguments[0]) {
                case "capture" -> capture();
                case "pipeline" -> pipeline();
                case "apply" -> apply();
                default -> throw new IllegalArgumentException(arguments[0]);
            }
        } catch (Exception error) {
            fail(error);
        }
        tell(Map.of(
                "rows", wanted,
                "seconds", (ended - began) / 1e9,
                "cpu_seconds", (endedCpu - beganCpu) / 1e9,
                "peak_bytes", peakBytes()));
    }

    private static void capture() throws Exception {
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class)
                .using(settings())
                .using((success, message, error) -> ended(message, error))
                .notifying((List<ChangeEvent<String, String>> records,
                        DebeziumEngine.RecordCommitter<ChangeEvent<String, String>> committer) -> {
                    startClock();
                    for (ChangeEvent<String, String> record : records) {
                        committer.markProcessed(record);
                    }
                    committer.markBatchFinished();
                    count(records.size());
                })
                .build();
        runUntilDone(engine);
    }

    private static void pipeline() throws Exception {
        JdbcSinkConnectorTask sink = sink();
        run(records -> {
            startClock();
            sink.put(records);
            count(records.size());
        });
    }

    private static void apply() throws Exception {
        JdbcSinkConnectorTask sink = sink();
        List<SinkRecord> all = new ArrayList<>();
        run(records -> {
            if (seen < wanted) {
                all.addAll(records);
                count(records.size());
            }
        });
        int batch = job.get("batch").asInt();
        startClock();
        for (int at = 0; at < wanted; at += batch) {
            sink.put(all.subList(at, Math.min(wanted, at + batch)));
        }
        stopClock();
    }

    private interface Batches {
        void take(List<SinkRecord> records);
    }

    private static void run(Batches batches) throws Exception {
        long[] offset = {0};
        DebeziumEngine<RecordChangeEvent<SourceRecord>> engine = DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
                .using(settings())
                .using((success, message, error) -> ended(message, error))
                .notifying((List<RecordChangeEvent<SourceRecord>> records,
                        DebeziumEngine.RecordCommitter<RecordChangeEvent<SourceRecord>> committer) -> {
                    List<SinkRecord> batch = new ArrayList<>(records.size());
                    for (RecordChangeEvent<SourceRecord> event : records) {
                        SourceRecord one = event.record();
                        batch.add(new SinkRecord(one.topic(), 0, one.keySchema(), one.key(), one.valueSchema(),
                                one.value(), offset[0]++));
                    }
                    batches.take(batch);
                    for (RecordChangeEvent<SourceRecord> event : records) {
                        committer.markProcessed(event);
                    }
                    committer.markBatchFinished();
                })
                .build();
        runUntilDone(engine);
    }

    private static void runUntilDone(DebeziumEngine<?> engine) throws Exception {
        Thread thread = new Thread(engine, "engine");
        thread.setDaemon(true);
        thread.start();
        DONE.await();
    }

    private static Properties settings() {
        Properties it = new Properties();
        it.setProperty("name", "bench");
        it.setProperty("connector.class", "io.debezium.connector.mysql.MySqlConnector");
        it.setProperty("offset.storage", Start.class.getName());
        it.setProperty("offset.flush.interval.ms", "10000");
        it.setProperty("schema.history.internal", "io.debezium.relational.history.MemorySchemaHistory");
        it.setProperty("snapshot.mode", "recovery");
        it.setProperty("topic.prefix", "bench");
        it.setProperty("include.schema.changes", "false");
        it.setProperty("database.hostname", job.get("host").asText());
        it.setProperty("database.port", job.get("port").asText());
        it.setProperty("database.user", job.get("user").asText());
        it.setProperty("database.password", job.get("password").asText());
        it.setProperty("database.server.id", job.get("server_id").asText());
        it.setProperty("table.include.list", job.get("table_regex").asText());
        it.setProperty("database.ssl.mode", "disabled");
        it.setProperty("driver.allowPublicKeyRetrieval", "true");
        it.setProperty("converter.schemas.enable", "false");
        job.get("engine").fields().forEachRemaining(one -> it.setProperty(one.getKey(), one.getValue().asText()));
        return it;
    }

    private static JdbcSinkConnectorTask sink() {
        Map<String, String> settings = MAPPER.convertValue(job.get("sink"),
                MAPPER.getTypeFactory().constructMapType(Map.class, String.class, String.class));
        JdbcSinkConnectorTask sink = new JdbcSinkConnectorTask();
        sink.start(settings);
        return sink;
    }

    private static void startClock() {
        if (began == 0) {
            beganCpu = cpu();
            began = System.nanoTime();
        }
    }

    private static void stopClock() {
        ended = System.nanoTime();
        endedCpu = cpu();
    }

    private static void count(int records) {
        seen += records;
        if (seen >= wanted && DONE.getCount() > 0) {
            stopClock();
            DONE.countDown();
        }
    }

    private static void ended(String message, Throwable error) {
        if (DONE.getCount() > 0) {
            Throwable cause = error;
            while (cause != null && cause.getCause() != null) {
                cause = cause.getCause();
            }
            fail(new IllegalStateException(message + (cause == null ? "" : ": " + cause.getMessage())));
        }
    }

    private static long cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static long peakBytes() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
            }
        }
        return 0;
    }

    private static void fail(Exception error) {
        tell(Map.of("not_run", error.getClass().getSimpleName() + ": " + error.getMessage()));
    }

    private static void tell(Map<String, Object> report) {
        try {
            System.out.println(MAPPER.writeValueAsString(report));
            System.out.flush();
        } catch (Exception error) {
            error.printStackTrace();
        }
        // The engine's threads would go on.
        Runtime.getRuntime().halt(0);
    }
}
