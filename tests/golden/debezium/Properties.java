// Prints the properties of Debezium's connectors and of Kafka Connect's source connectors, as properties.json beside it:
//   mvn dependency:copy-dependencies (debezium-connector-mysql and -postgres 3.6.1.Final, connect-runtime) into libs, then
//   javac -cp 'libs/*' Properties.java && java -cp '.:libs/*' Properties > properties.json
// MariaDB's is listed if its jar is there; the recorded list is that of 3.5.0.Final, the newest on Maven Central as a
// plug-in, which reads nothing that MySQL's does not.
import io.debezium.config.Field;
import java.lang.reflect.Modifier;
import java.util.*;
import org.apache.kafka.common.config.ConfigDef;

public class Properties {
  static final String[][] CONNECTORS = {
    {"mysql", "io.debezium.connector.mysql.MySqlConnector"},
    {"mariadb", "io.debezium.connector.mariadb.MariaDbConnector"},
    {"postgresql", "io.debezium.connector.postgresql.PostgresConnector"},
  };

  public static void main(String[] arguments) throws Exception {
    List<String> parts = new ArrayList<>();
    for (String[] connector : CONNECTORS) {
      Class<?> type;
      try {
        type = Class.forName(connector[1]);
      } catch (ClassNotFoundException missing) {
        continue;
      }
      Object made = type.getDeclaredConstructor().newInstance();
      TreeMap<String, String> found = defaults((ConfigDef) type.getMethod("config").invoke(made));
      fields(Class.forName(connector[1] + "Config"), found);
      parts.add(json(connector[0], found));
    }
    Class<?> connect = Class.forName("org.apache.kafka.connect.runtime.SourceConnectorConfig");
    var method = connect.getDeclaredMethod("configDef");
    method.setAccessible(true);
    parts.add(json("connect", defaults((ConfigDef) method.invoke(null))));
    System.out.println("{\n" + String.join(",\n", parts) + "\n}");
  }

  static TreeMap<String, String> defaults(ConfigDef definition) {
    TreeMap<String, String> found = new TreeMap<>();
    definition.configKeys().values().forEach(key -> found.put(key.name, key.hasDefault() ? text(key.defaultValue) : null));
    return found;
  }

  // What a connector reads and does not tell Kafka Connect of.
  static void fields(Class<?> type, TreeMap<String, String> found) throws Exception {
    for (; type != null; type = type.getSuperclass())
      for (java.lang.reflect.Field field : type.getDeclaredFields()) {
        if (!Modifier.isStatic(field.getModifiers())) continue;
        field.setAccessible(true);
        if (field.get(null) instanceof Field option) found.putIfAbsent(option.name(), text(option.defaultValue()));
      }
  }

  static String text(Object value) {
    if (value instanceof Class<?> type) return type.getName();
    if (value instanceof List<?> list) return String.join(",", list.stream().map(String::valueOf).toList());
    return value == null ? null : value.toString();
  }

  static String json(String name, Map<String, String> values) {
    List<String> lines = new ArrayList<>();
    values.forEach((key, value) -> lines.add("    " + quoted(key) + ": " + (value == null ? "null" : quoted(value))));
    return "  " + quoted(name) + ": {\n" + String.join(",\n", lines) + "\n  }";
  }

  static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }
}
