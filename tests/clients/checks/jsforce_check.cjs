// All majors of jsforce: login, rows, queries, both bulk APIs where the major has them.
const jsforce = require("jsforce");

const { EMULATOR_URL: url, EMULATOR_TOKEN: token } = process.env;
const major = Number(process.argv[2]);

async function works(what, does) {
  try {
    await does();
    console.log(`works: ${what}`);
  } catch (problem) {
    console.log(`fails: ${what}: ${problem.message}`);
  }
}

function check(truth, what) {
  if (!truth) throw new Error(what);
}

function loaded(connection, operation, records) {
  const batch = connection.bulk.createJob("Contact", operation).createBatch();
  return new Promise((resolve, reject) => {
    batch.on("error", reject);
    batch.on("queue", () => batch.poll(100, 10_000));
    batch.on("response", resolve);
    batch.execute(records);
  });
}

async function main() {
  const connection = new jsforce.Connection({ loginUrl: url, instanceUrl: url, accessToken: token, version: "58.0" });
  await works("login by SOAP", async () => {
    const other = new jsforce.Connection({ loginUrl: url, version: "58.0" });
    await other.login("admin@example.com", "passwordtoken");
    check(other.accessToken, "there is no token");
  });
  await works("rows", async () => {
    const made = await connection.sobject("Contact").create({ LastName: "Byron" });
    await connection.sobject("Contact").update({ Id: made.id, Title: "Countess" });
    const read = await connection.sobject("Contact").retrieve(made.id);
    check(read.Title === "Countess", JSON.stringify(read));
  });
  await works("query", async () => {
    const found = await connection.query("SELECT Id, Owner.Name FROM Contact WHERE Title = 'Countess'");
    check(found.totalSize === 1, JSON.stringify(found));
  });
  await works("describe and identity", async () => {
    const told = await connection.sobject("Contact").describe();
    check(told.fields.length > 30, "too few fields");
    check((await connection.identity()).username === "admin@example.com", "another user");
  });
  await works("ingest by Bulk API 1.0", async () => {
    const results = await loaded(connection, "insert", [{ LastName: "a" }, { LastName: "b" }]);
    check(results.length === 2 && results.every((one) => one.success), JSON.stringify(results));
  });
  await works("query by Bulk API 1.0", async () => {
    const stream = await connection.bulk.query("SELECT Id, LastName FROM Contact");
    const records = await new Promise((resolve, reject) => {
      const found = [];
      stream.on("record", (one) => found.push(one)).on("end", () => resolve(found)).on("error", reject);
    });
    check(records.length === 3, JSON.stringify(records));
  });
  if (major >= 3) {
    await works("Bulk API 2.0", async () => {
      const told = await connection.bulk2.loadAndWaitForResults({
        object: "Contact", operation: "insert", input: [{ LastName: "c" }], pollInterval: 100, pollTimeout: 10_000,
      });
      check(told.successfulResults.length === 1, JSON.stringify(told));
    });
  }
}

main().catch((problem) => {
  console.log(`fails: all: ${problem.message}`);
});
