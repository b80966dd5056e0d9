// Pushes with prom-client: node prom_client_push.cjs URL METHOD GROUPINGS
// METHOD is push, pushAdd or delete; GROUPINGS is a JSON object.
const client = require("prom-client");

const [url, method, groupings] = process.argv.slice(2);
const register = new client.Registry();
const registers = [register];
new client.Gauge({ name: "a_gauge", help: "A gauge.", registers }).set(12.5);
new client.Counter({
  name: "rows_total",
  help: "Rows.",
  labelNames: ["table"],
  registers,
}).inc({ table: "orders" }, 3);
const buckets = [0.1, 1, 10];
new client.Histogram({ name: "op_seconds", help: "Ops.", buckets, registers }).observe(
  0.5,
);
const percentiles = [0.5];
new client.Summary({ name: "size_bytes", help: "Sizes.", percentiles, registers }).observe(
  7,
);

const gateway = new client.Pushgateway(url, {}, register);
gateway[method]({ jobName: "node", groupings: JSON.parse(groupings) }).then(
  ({ resp }) => console.log(resp.statusCode),
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
