// The ngrok API client for Node.js against the resources of a table (compat/README.md describes both).
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const { Ngrok } = require("@ngrok/ngrok-api");

const client = new Ngrok({ apiToken: process.env.COMPAT_API_KEY, baseUrl: process.env.COMPAT_API_URL });
// The first of each resource, which others refer to as "$resource".
const first = {};

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

// References become ids, and names those of the client, which writes each capital letter with an underscore.
function filled(value) {
  if (Array.isArray(value)) return value.map(filled);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [camel(key), filled(each)]));
  }
  return typeof value === "string" && value.startsWith("$") ? first[value.slice(1)] : value;
}

// What was asked for is there; an empty text asks for the server's default.
function expect(thing, wanted) {
  for (const [key, value] of Object.entries(wanted)) {
    const asked = ["string", "boolean"].includes(typeof value) && value !== "";
    if (asked && key in thing) assert.strictEqual(thing[key], value, key);
  }
}

async function refused(call, code) {
  const error = await call().then(() => assert.fail(`not refused with ${code}`), (error) => error);
  if (error instanceof Error) throw error;
  assert.strictEqual(error.errorCode, code, error.msg);
  assert.match(error.details.get("operationId"), /^op_/);
}

// The client takes the empty body of a 204 for a failure, after the server has done what it was asked for.
async function done(call) {
  await call.catch((error) => {
    if (!(error instanceof SyntaxError)) throw error;
  });
}

// A row of the table.
class Row {
  constructor(row) {
    this.row = row;
    this.name = row.resource;
    this.ids = [];
    this.service = client[camel(this.name)];
  }

  // The path of what has no id of its own.
  get below() {
    return this.row.below && filled(this.row.below);
  }

  key(index) {
    return this.below ? { ...this.below, type: this.ids[index] } : this.ids[index];
  }

  async create() {
    for (const body of this.row.create.map(filled)) {
      const made = await this.service.create({ ...this.below, ...body });
      this.ids.push(this.below ? made.type : made.id);
      expect(made, body);
    }
    first[this.name] = this.ids[0];
  }

  async get() {
    const found = await this.service.get(this.key(0));
    assert.strictEqual(this.below ? found.type : found.id, this.ids[0]);
  }

  async update() {
    const change = filled(this.row.update);
    expect(await this.service.update({ ...(this.below ? this.key(0) : { id: this.ids[0] }), ...change }), change);
    expect(await this.service.get(this.key(0)), change);
  }

  async list() {
    if (this.below) {
      const { sources } = await this.service.list(this.below);
      const listed = sources.map((source) => source.type);
      for (const type of this.ids) assert.ok(listed.includes(type), `${type} is not in ${listed}`);
      return;
    }
    const listed = (await this.service.list(undefined, "1")).map((item) => item.id);
    if ("online" in this.row) {
      assert.strictEqual(listed.length, this.row.online);
      this.ids = listed;
    } else {
      assert.deepStrictEqual(listed.filter((id) => this.ids.includes(id)), this.ids.toSorted().reverse());
    }
  }

  async calls() {
    for (const [call, code] of Object.entries(this.row.refused_calls ?? {})) {
      await refused(() => this.service[call]({ id: this.ids[0] }), code);
    }
    for (const [index, call] of this.row.calls.entries()) await done(this.service[camel(call)](this.ids[index]));
  }

  async refused() {
    await refused(() => this.service.create({ ...this.below, ...filled(this.row.refused) }), this.row.code);
  }

  async missing() {
    this.ids = [this.row.missing];
    await refused(() => this.service.get(this.key(0)), this.row.gone);
  }

  async delete() {
    for (let index = this.ids.length - 1; index >= 0; index--) {
      await done(this.service.delete(this.key(index)));
      await refused(() => this.service.get(this.key(index)), this.row.gone);
    }
  }
}

function say(line) {
  fs.writeSync(1, JSON.stringify(line) + "\n");
}

async function check(row, what) {
  const line = { resource: row.name, check: what };
  try {
    await row[what]();
  } catch (error) {
    line.failed = error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error);
  }
  say(line);
  return !line.failed;
}

async function main() {
  const rows = [];
  for (const entry of JSON.parse(fs.readFileSync(process.env.COMPAT_RESOURCES))) {
    const row = new Row(entry);
    if (!row.service) {
      say({ resource: row.name, unsupported: true });
      continue;
    }
    rows.push(row);
    for (const what of entry.checks) {
      if (!(await check(row, what)) && what === "create") break;
    }
  }
  for (const row of rows.reverse()) {
    if (row.row.delete) await check(row, "delete");
  }
}

main();
