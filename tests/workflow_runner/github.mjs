// GitHub's own libraries behind a pipe: a question as a line of JSON in, an answer as a line of JSON out.
// `node github.mjs INSTALLED`: the folder in which package.json beside this file was installed.
import { createHash } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The libraries import JSON as bundlers take it; Node wants it said.
registerHooks({
  load: (url, context, next) =>
    next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context),
});
const installed = process.argv[2];
const packaged = (path) => import(pathToFileURL(join(installed, "node_modules/@actions", path)));
const { Lexer, Parser, Evaluator, data } = await packaged("expressions/dist/index.js");
const { truthy } = await packaged("expressions/dist/result.js");
const syntax = await packaged("expressions/dist/ast.js");
const { parseWorkflow, convertWorkflowTemplate, NoOperationTraceWriter } = await packaged("workflow-parser/dist/index.js");
const { parseAction } = await packaged("workflow-parser/dist/actions/index.js");
const { parseDocument } = createRequire(join(installed, "package.json"))("yaml");

const CONTEXTS = ["github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs"];
const STATUS = ["success", "failure", "cancelled", "always"];

const questions = { read, faults, resolve, condition };

/** The content of a YAML file as GitHub reads it: 1.2, so that `on` is a word, and every key once. */
function read({ text }) {
  const document = parseDocument(text, { version: "1.2", uniqueKeys: true });
  if (document.errors.length) throw new Error(document.errors[0].message);
  return document.toJS();
}

/** What GitHub's parser has against the files: schema, unknown contexts and functions, conditions, references. */
async function faults({ files }) {
  const told = [];
  for (const { name, text, kind } of files) {
    const file = { name, content: text };
    const { context, value } = (kind === "action" ? parseAction : parseWorkflow)(file, new NoOperationTraceWriter());
    if (kind !== "action" && value) await convertWorkflowTemplate(context, value);
    for (const error of context.errors.getErrors()) {
      const line = error.range?.start.line;
      told.push(line === undefined ? `${name}: ${error.rawMessage}` : `${name}:${line}: ${error.rawMessage}`);
    }
  }
  return told;
}

/** Every text of a value with its expressions evaluated; one that is a single expression keeps the expression's type. */
function resolve({ value, ...world }) {
  if (typeof value === "string") return resolved(value, world);
  if (Array.isArray(value)) return value.map((each) => resolve({ value: each, ...world }));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [String(resolved(name, world)), resolve({ value: each, ...world })]),
  );
}

/** Whether an `if` holds; one that asks for no status means "and nothing has failed" as well. */
function condition({ text, ...world }) {
  const pieces = split(text);
  const expression = pieces.length === 1 && pieces[0].isExpression ? pieces[0].text : text;
  const tree = parse(expression.trim() || "success()");
  if (!asksForStatus(tree) && !world.status.success) return false;
  return truthy(evaluate(tree, world));
}

function resolved(text, world) {
  const pieces = split(text);
  if (pieces.length === 1 && pieces[0].isExpression) {
    return JSON.parse(JSON.stringify(evaluate(parse(pieces[0].text), world), data.replacer));
  }
  return pieces
    .map((piece) => (piece.isExpression ? evaluate(parse(piece.text), world).coerceString() : piece.text))
    .join("");
}

/** A text as what stands between `${{` and `}}` and the rest; braces in a quoted string close nothing. */
function split(text) {
  const pieces = [];
  let position = 0;
  while (position < text.length) {
    const start = text.indexOf("${{", position);
    if (start < 0) break;
    if (start > position) pieces.push({ text: text.slice(position, start), isExpression: false });
    let end = start + 3;
    for (let isQuoted = false; isQuoted || !text.startsWith("}}", end); end++) {
      if (end >= text.length) throw new Error(`${text.slice(start)}: expected }}`);
      if (text[end] === "'") isQuoted = !isQuoted;
    }
    pieces.push({ text: text.slice(start + 3, end), isExpression: true });
    position = end + 2;
  }
  if (position < text.length) pieces.push({ text: text.slice(position), isExpression: false });
  return pieces;
}

function parse(expression) {
  const functions = [...STATUS.map((name) => ({ name, minArgs: 0, maxArgs: 0 })), { name: "hashFiles", minArgs: 1, maxArgs: 255 }];
  try {
    return new Parser(new Lexer(expression.trim()).lex().tokens, CONTEXTS, functions).parse();
  } catch (error) {
    throw new Error(`\${{ ${expression.trim()} }}: ${error.message}`);
  }
}

function evaluate(tree, { contexts, status, workspace }) {
  const known = new data.Dictionary(
    ...CONTEXTS.map((name) => ({ key: name, value: JSON.parse(JSON.stringify(contexts[name] ?? null), data.reviver) })),
  );
  const functions = new Map(STATUS.map((name) => [name, { call: () => new data.BooleanData(status[name]) }]));
  functions.set("hashfiles", { call: (...patterns) => new data.StringData(hash(workspace, patterns)) });
  return new Evaluator(tree, known, functions).evaluate();
}

function asksForStatus(tree) {
  if (tree instanceof syntax.FunctionCall && STATUS.includes(tree.functionName.lexeme.toLowerCase())) return true;
  const inner = [...(tree.args ?? []), tree.left, tree.right, tree.expr, tree.group, tree.index];
  return inner.some((each) => each instanceof syntax.Expr && asksForStatus(each));
}

/** As `hashFiles` does: the digest of the files' digests, in the order of their names; nothing found is an empty text. */
function hash(workspace, patterns) {
  const names = new Set(patterns.flatMap((each) => globSync(each.coerceString(), { cwd: workspace })));
  const files = [...names].map((name) => join(workspace, name)).filter((path) => statSync(path).isFile()).sort();
  if (files.length === 0) return "";
  const whole = createHash("sha256");
  for (const path of files) whole.update(createHash("sha256").update(readFileSync(path)).digest());
  return whole.digest("hex");
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, question, ...asked } = JSON.parse(line);
  let answer;
  try {
    answer = { value: await questions[question](asked) };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`);
}
