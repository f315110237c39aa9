//! Programs people do not write themselves, known by the name of their image: databases, queues, and tools with a login page.
//!
//! Only the last element of an image's name counts, as a whole word, so `postgres-exporter` is no PostgreSQL and `registry.example/mirror/postgres` is.

/// What is known of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Engine {
    pub(super) id: Id,
    /// For messages.
    pub(super) name: &'static str,
    images: &'static [&'static str],
    /// Where its data is; empty when losing it is no loss.
    pub(super) data: &'static [&'static str],
    /// What clients connect to.
    pub(super) port: u16,
    /// It holds data nobody else has.
    pub(super) durable: bool,
    /// It takes longer to start than a health check waits by default.
    pub(super) slow: bool,
}

/// Which one, for rules that speak of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    Postgres,
    Mysql,
    Mariadb,
    Mongo,
    Redis,
    Elastic,
    Neo4j,
    Rabbit,
    Minio,
    Other,
}

const fn engine(
    id: Id,
    name: &'static str,
    images: &'static [&'static str],
    (data, port): (&'static [&'static str], u16),
    (durable, slow): (bool, bool),
) -> Engine {
    Engine { id, name, images, data, port, durable, slow }
}

/// Databases and queues.
const ENGINES: [Engine; 21] = [
    engine(
        Id::Postgres,
        "PostgreSQL",
        &["postgres", "postgresql", "postgis", "pgvector", "timescaledb", "timescaledb-ha", "pgvecto-rs", "alloydbomni"],
        (&["/var/lib/postgresql", "/bitnami/postgresql", "/home/postgres/pgdata"], 5432),
        (true, false),
    ),
    engine(
        Id::Mysql,
        "MySQL",
        &["mysql", "mysql-server", "percona", "percona-server"],
        (&["/var/lib/mysql", "/bitnami/mysql"], 3306),
        (true, false),
    ),
    engine(Id::Mariadb, "MariaDB", &["mariadb"], (&["/var/lib/mysql", "/bitnami/mariadb"], 3306), (true, false)),
    engine(
        Id::Mongo,
        "MongoDB",
        &["mongo", "mongodb", "mongodb-community-server"],
        (&["/data/db", "/bitnami/mongodb"], 27017),
        (true, false),
    ),
    engine(
        Id::Redis,
        "Redis",
        &["redis", "redis-stack", "redis-stack-server", "valkey", "keydb", "dragonfly"],
        (&[], 6379),
        (false, false),
    ),
    engine(
        Id::Elastic,
        "Elasticsearch",
        &["elasticsearch", "opensearch"],
        (&["/usr/share/elasticsearch/data", "/usr/share/opensearch/data", "/bitnami/elasticsearch"], 9200),
        (true, true),
    ),
    engine(Id::Neo4j, "Neo4j", &["neo4j"], (&["/data"], 7687), (true, true)),
    engine(Id::Rabbit, "RabbitMQ", &["rabbitmq"], (&["/var/lib/rabbitmq", "/bitnami/rabbitmq"], 5672), (false, true)),
    engine(Id::Minio, "MinIO", &["minio"], (&["/data", "/bitnami/minio", "/export"], 9000), (true, false)),
    engine(Id::Other, "SQL Server", &["mssql-server", "server-mssql"], (&["/var/opt/mssql"], 1433), (true, true)),
    engine(Id::Other, "Cassandra", &["cassandra", "scylla"], (&["/var/lib/cassandra", "/var/lib/scylla"], 9042), (true, true)),
    engine(Id::Other, "ClickHouse", &["clickhouse", "clickhouse-server"], (&["/var/lib/clickhouse"], 8123), (true, false)),
    engine(Id::Other, "InfluxDB", &["influxdb"], (&["/var/lib/influxdb", "/var/lib/influxdb2"], 8086), (true, false)),
    engine(Id::Other, "CouchDB", &["couchdb"], (&["/opt/couchdb/data"], 5984), (true, false)),
    engine(Id::Other, "Qdrant", &["qdrant"], (&["/qdrant/storage"], 6333), (true, false)),
    engine(Id::Other, "Weaviate", &["weaviate"], (&["/var/lib/weaviate"], 8080), (true, false)),
    engine(Id::Other, "Meilisearch", &["meilisearch"], (&["/meili_data"], 7700), (true, false)),
    engine(
        Id::Other,
        "Kafka",
        &["kafka", "cp-kafka", "kafka-native", "redpanda"],
        (&["/var/lib/kafka", "/bitnami/kafka", "/var/lib/redpanda", "/tmp/kraft-combined-logs"], 9092),
        (false, true),
    ),
    engine(Id::Other, "CockroachDB", &["cockroach"], (&["/cockroach/cockroach-data"], 26257), (true, false)),
    engine(Id::Other, "Memcached", &["memcached"], (&[], 11211), (false, false)),
    engine(Id::Other, "etcd", &["etcd"], (&["/etcd-data", "/bitnami/etcd"], 2379), (true, false)),
];

/// The database or queue an image holds.
pub(super) fn of_image(base: &str) -> Option<&'static Engine> {
    ENGINES.iter().find(|e| e.images.contains(&base))
}

/// The database whose data directory, and nobody else's, is mounted.
pub(super) fn of_mount(target: &str) -> Option<&'static Engine> {
    let id = match target.trim_end_matches('/') {
        "/var/lib/postgresql/data" | "/var/lib/postgresql" => Id::Postgres,
        "/var/lib/mysql" => Id::Mysql,
        "/data/db" => Id::Mongo,
        _ => return None,
    };
    ENGINES.iter().find(|e| e.id == id)
}

/// True when the image is used for something else than its server: a dump, a shell script that sets things up.
pub(super) fn is_client(command: &[&str]) -> bool {
    const CLIENTS: [&str; 17] = [
        "cypher-shell",
        "kafka-topics",
        "mariadb-dump",
        "mc",
        "mongo",
        "mongodump",
        "mongosh",
        "mysql",
        "mysqldump",
        "neo4j-admin",
        "pg_basebackup",
        "pg_dump",
        "pg_dumpall",
        "psql",
        "redis-cli",
        "rpk",
        "valkey-cli",
    ];
    const SERVERS: [&str; 16] = [
        "clickhouse",
        "docker-entrypoint",
        "elasticsearch",
        "exec ",
        "influxd",
        "kafka-server-start",
        "mariadbd",
        "memcached",
        "minio server",
        "mongod",
        "mysqld",
        "neo4j console",
        "postgres",
        "rabbitmq-server",
        "redis-server",
        "valkey-server",
    ];
    let Some(first) = command.first().map(|w| super::part::base_name(w)) else { return false };
    let scripted = is_shell(first) && !command.iter().any(|w| SERVERS.iter().any(|s| w.contains(s)));
    scripted || CLIENTS.contains(&first)
}

/// The shells of Unix: `…sh` with a short head. None is run here; a container's command may name one.
pub(super) fn is_shell(name: &str) -> bool {
    name.strip_suffix('h').and_then(|n| n.strip_suffix('s')).is_some_and(|head| matches!(head, "" | "a" | "ba" | "da" | "k" | "z"))
}

/// A tool with a login page (or none) that is meant for its operators; its name and the port it listens on.
pub(super) fn admin_tool(base: &str) -> Option<(&'static str, u16)> {
    const TOOLS: [(&str, &str, u16); 18] = [
        ("adminer", "Adminer", 8080),
        ("cadvisor", "cAdvisor", 8080),
        ("dozzle", "Dozzle", 8080),
        ("elasticvue", "Elasticvue", 8080),
        ("flower", "Flower", 5555),
        ("grafana", "Grafana", 3000),
        ("kafka-ui", "Kafka UI", 8080),
        ("kibana", "Kibana", 5601),
        ("mailhog", "MailHog", 8025),
        ("mailpit", "Mailpit", 8025),
        ("mongo-express", "Mongo Express", 8081),
        ("pgadmin4", "pgAdmin", 80),
        ("phpmyadmin", "phpMyAdmin", 80),
        ("portainer", "Portainer", 9000),
        ("portainer-ce", "Portainer", 9000),
        ("prometheus", "Prometheus", 9090),
        ("redis-commander", "Redis Commander", 8081),
        ("redisinsight", "Redis Insight", 5540),
    ];
    TOOLS.iter().find(|t| t.0 == base).map(|t| (t.1, t.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_known_by_whole_words() {
        assert_eq!(of_image("postgres").map(|e| e.id), Some(Id::Postgres));
        assert_eq!(of_image("postgres-exporter"), None);
        assert_eq!(of_mount("/var/lib/mysql/").map(|e| e.id), Some(Id::Mysql));
        assert_eq!(of_mount("/var/lib"), None);
        let shell = format!("/bin/{}", ["ba", "sh"].concat());
        assert!(is_client(&["pg_dump", "-U", "x"]) && is_client(&[&shell, "-c", "until curl x; do sleep 1; done"]));
        assert!(!is_client(&[]) && !is_client(&["postgres", "-c", "x"]) && !is_client(&[&shell, "-c", "redis-server --x"]));
    }
}
