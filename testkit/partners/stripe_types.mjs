// The payloads of the stand-in against the official types of the npm package `stripe`.
//
// Usage: node stripe_types.mjs OBJECTS MODULES
//   OBJECTS  the file that stripe_sdk.py has written
//   MODULES  a directory in which npm has installed `stripe`, `typescript` and `@types/node`
//
// Each object becomes a constant of its type in a file that tsc checks with `strict`, as a whole:
// a missing field and a field of a wrong type are errors, and so is a field that the type does not
// have. Decimals are texts in JSON and objects in the types; they are written as Decimals.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [objectsPath, modules] = process.argv.slice(2).map((path) => resolve(path));
const objects = JSON.parse(readFileSync(objectsPath, 'utf8'));

const decimals = new Set(['unit_amount_decimal', 'quantity_decimal', 'amount_decimal']);

function literal(value, name) {
  if (Array.isArray(value)) return `[${value.map((element) => literal(element)).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const fields = Object.entries(value).map(([key, field]) => `${JSON.stringify(key)}: ${literal(field, key)}`);
    return `{${fields.join(', ')}}`;
  }
  if (decimals.has(name) && typeof value === 'string') return `Stripe.Decimal.from(${JSON.stringify(value)})`;
  return JSON.stringify(value);
}

const lines = ["import Stripe from 'stripe';"];
const altered = new Set();
objects.forEach(({ type, value }, number) => {
  // An event's type is the union of all events; the one of this name is checked.
  const name = type === 'Stripe.Event' ? `Extract<Stripe.Event, {type: ${JSON.stringify(value.type)}}>` : type;
  lines.push(`export const object${number}: ${name} = ${literal(value)};`);
  if (altered.has(name)) return;
  // The check itself is checked: for each type, a changed copy must be an error.
  altered.add(name);
  const { object, ...missing } = value;
  for (const [kind, wrong] of [['missing', missing], ['unknown', { ...value, no_such_field: 1 }]]) {
    lines.push('// @ts-expect-error', `export const ${kind}${number}: ${name} = ${literal(wrong)};`);
  }
});
const source = join(modules, 'objects.ts');
writeFileSync(source, lines.join('\n') + '\n');

const tsc = join(modules, 'node_modules', 'typescript', 'bin', 'tsc');
const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext'];
try {
  execFileSync(process.execPath, [tsc, ...options, 'objects.ts'], { cwd: modules, stdio: 'inherit' });
} catch {
  console.error(`stripe types: the payloads do not fit (${source})`);
  process.exit(1);
}
console.log(`stripe types: ${objects.length} payloads fit`);
