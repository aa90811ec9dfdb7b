// The parameters of our calls against the official types of the npm package `stripe`.
//
// Usage: node stripe_parameters.mjs REQUESTS MODULES CALLS...
//   REQUESTS  the file that stand-ins have appended to (`TOLLKEEPER_STRIPE_REQUESTS`)
//   MODULES   a directory in which npm has installed `stripe`, `typescript` and `@types/node`
//   CALLS     the Rust sources of our calls
//
// Every call in those sources must be among the requests, sent by our client: it alone names no user
// agent. What a call makes at Stripe must carry the name of the ledger.
//
// A form holds texts only. A text of digits becomes a number and `true` and `false` become
// booleans, except in metadata and where the type wants a text.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [requestsPath, modules, ...sources] = process.argv.slice(2).map((path) => resolve(path));
const written = readFileSync(requestsPath, 'utf8').trim().split('\n').filter(Boolean);
const requests = written.map((line) => JSON.parse(line));

const types = {
  'POST customers': 'CustomerCreateParams',
  'GET customers': 'CustomerListParams',
  'POST customers/{}': 'CustomerUpdateParams',
  'GET customers/{}/payment_methods': 'CustomerListPaymentMethodsParams',
  'POST payment_methods': 'PaymentMethodCreateParams',
  'GET payment_methods': 'PaymentMethodListParams',
  'POST payment_methods/{}/attach': 'PaymentMethodAttachParams',
  'POST payment_intents': 'PaymentIntentCreateParams',
  'GET payment_intents': 'PaymentIntentListParams',
  'POST payment_intents/{}/confirm': 'PaymentIntentConfirmParams',
  'POST payment_intents/{}/cancel': 'PaymentIntentCancelParams',
  'POST setup_intents': 'SetupIntentCreateParams',
  'GET setup_intents': 'SetupIntentListParams',
  'POST setup_intents/{}/confirm': 'SetupIntentConfirmParams',
  'POST products': 'ProductCreateParams',
  'GET products': 'ProductListParams',
  'POST prices': 'PriceCreateParams',
  'GET prices': 'PriceListParams',
  'POST checkout/sessions': 'Checkout.SessionCreateParams',
  'GET checkout/sessions': 'Checkout.SessionListParams',
  'GET subscriptions': 'SubscriptionListParams',
  'POST subscriptions/{}': 'SubscriptionUpdateParams',
  'DELETE subscriptions/{}': 'SubscriptionCancelParams',
  'GET invoices': 'InvoiceListParams',
  'POST invoices/create_preview': 'InvoiceCreatePreviewParams',
  'POST invoices/{}/pay': 'InvoicePayParams',
  'GET invoice_payments': 'InvoicePaymentListParams',
  'POST refunds': 'RefundCreateParams',
  'GET refunds': 'RefundListParams',
  'GET disputes': 'DisputeListParams',
  'GET radar/early_fraud_warnings': 'Radar.EarlyFraudWarningListParams',
  'POST billing_portal/configurations': 'BillingPortal.ConfigurationCreateParams',
  'GET billing_portal/configurations': 'BillingPortal.ConfigurationListParams',
  'POST billing_portal/configurations/{}': 'BillingPortal.ConfigurationUpdateParams',
  'POST billing_portal/sessions': 'BillingPortal.SessionCreateParams',
  'GET events': 'EventListParams',
};
// Calls whose only parameters are those of a page, or `expand`.
const common = '{ expand?: string[]; limit?: number; starting_after?: string; ending_before?: string }';

const texts = new Set(['client_reference_id', 'description', 'name', 'email', 'number', 'cvc', 'postal_code']);

const id = /^(bpc|bps|ch|cs|cus|dp|evt|in|inpay|issfr|pi|pm|price|prod|re|seti|sub)_/;

function endpointOf(method, path) {
  const parts = path.replace('/v1/', '').split('/');
  return `${method} ${parts.map((part) => (id.test(part) ? '{}' : part)).join('/')}`;
}

function typeOf(method, path) {
  const known = types[endpointOf(method, path)];
  return known ? `Stripe.${known}` : common;
}

// The endpoints that the sources of our calls name: `self.post("refunds", …)`.
function ourEndpoints() {
  const call = /self\s*\.(get|post|delete|all_of)\(\s*&?(?:format!\(\s*)?"([^"]+)"/g;
  const methods = { get: 'GET', all_of: 'GET', post: 'POST', delete: 'DELETE' };
  const found = sources.flatMap((source) => [...readFileSync(source, 'utf8').matchAll(call)]);
  return new Set(found.map(([, verb, path]) => `${methods[verb]} ${path.replace(/\{[^}]*\}/g, '{}')}`));
}

// What these make belongs to a ledger, and says so.
const marked = [
  'POST customers', 'POST prices', 'POST payment_intents', 'POST refunds', 'POST billing_portal/configurations',
  'POST checkout/sessions mode=payment', 'POST checkout/sessions mode=setup', 'POST checkout/sessions mode=subscription',
];

// The words of `marked` for a request; a page is known by its mode.
function kindOf({ method, path, parameters }) {
  const mode = parameters.find(([name]) => name === 'mode');
  return endpointOf(method, path) + (mode ? ` mode=${mode[1]}` : '');
}

function fail(why) {
  console.error(`stripe types: ${why}`);
  process.exit(1);
}

function checkOurs() {
  const ours = requests.filter(({ agent }) => agent === null);
  const seen = new Set(ours.map(({ method, path }) => endpointOf(method, path)));
  const endpoints = ourEndpoints();
  const missing = [...endpoints].filter((endpoint) => !seen.has(endpoint));
  if (endpoints.size < 25) fail(`only ${endpoints.size} calls were found in ${sources}`);
  if (missing.length > 0) fail(`our client was not seen to call: ${missing.join(', ')}. Run the tests of the server first`);
  const named = ours.filter(({ parameters }) => parameters.some(([name]) => name === 'metadata[ledger]'));
  const kinds = new Set(named.map(kindOf));
  const nameless = marked.filter((kind) => !kinds.has(kind));
  if (nameless.length > 0) fail(`never seen with metadata[ledger]: ${nameless.join(', ')}`);
  return endpoints.size;
}

function tree(pairs) {
  const root = {};
  for (const [name, value] of pairs) {
    const parts = name.split('[').map((part) => part.replace(/\]$/, ''));
    let at = root;
    parts.forEach((part, place) => {
      const key = part === '' ? String(Object.keys(at).length) : part;
      if (place === parts.length - 1) at[key] = value;
      else at = at[key] ??= {};
    });
  }
  return root;
}

function literal(value, name, isText) {
  if (typeof value === 'string') {
    const plain = isText || texts.has(name) || !/^(-?\d+|true|false)$/.test(value);
    return plain ? JSON.stringify(value) : value;
  }
  const keys = Object.keys(value);
  const fields = keys.map((key) => [key, literal(value[key], key, isText || key === 'metadata')]);
  const isArray = keys.length > 0 && keys.every((key) => /^\d+$/.test(key)) && name !== 'metadata';
  if (isArray) return `[${fields.map(([, field]) => field).join(', ')}]`;
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}: ${field}`).join(', ')}}`;
}

const lines = ["import Stripe from 'stripe';"];
const seen = new Set();
const ours = new Set();
for (const { method, path, parameters, agent } of requests) {
  const constant = `: ${typeOf(method, path)} = ${literal(tree(parameters), '', false)};`;
  if (parameters.length === 0) continue;
  if (agent === null) ours.add(constant);
  if (seen.has(constant)) continue;
  seen.add(constant);
  lines.push(`// ${method} ${path}`, `export const call${seen.size}${constant}`);
}
// The check itself is checked.
lines.push('// @ts-expect-error', "export const gone: Stripe.PaymentIntentCreateParams = {amount: 1, currency: 'usd', payment_method_types: ['card']};");
const source = join(modules, 'parameters.ts');
writeFileSync(source, lines.join('\n') + '\n');

const tsc = join(modules, 'node_modules', 'typescript', 'bin', 'tsc');
const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext'];
try {
  execFileSync(process.execPath, [tsc, ...options, 'parameters.ts'], { cwd: modules, stdio: 'inherit' });
} catch {
  fail(`the parameters do not fit (${source})`);
}
const endpoints = checkOurs();
console.log(`stripe types: the parameters of ${seen.size} calls fit, ${ours.size} of them ours; all ${endpoints} of our endpoints were seen`);
