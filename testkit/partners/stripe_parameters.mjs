// The parameters of our calls against the official types of the npm package `stripe`.
//
// Usage: node stripe_parameters.mjs REQUESTS MODULES
//   REQUESTS  the file that stand-ins have appended to (`TOLLKEEPER_STRIPE_REQUESTS`)
//   MODULES   a directory in which npm has installed `stripe`, `typescript` and `@types/node`
//
// A form holds texts only. A text of digits becomes a number and `true` and `false` become
// booleans, except in metadata and where the type wants a text.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [requestsPath, modules] = process.argv.slice(2).map((path) => resolve(path));
const requests = existsSync(requestsPath) ? readFileSync(requestsPath, 'utf8').trim().split('\n').filter(Boolean) : [];

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

function typeOf(method, path) {
  const parts = path.replace('/v1/', '').split('/');
  const named = parts.map((part) => (id.test(part) ? '{}' : part)).join('/');
  const known = types[`${method} ${named}`];
  return known ? `Stripe.${known}` : common;
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
for (const { method, path, parameters } of requests.map((line) => JSON.parse(line))) {
  const constant = `: ${typeOf(method, path)} = ${literal(tree(parameters), '', false)};`;
  if (parameters.length === 0 || seen.has(constant)) continue;
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
  console.error(`stripe types: the parameters do not fit (${source})`);
  process.exit(1);
}
console.log(`stripe types: the parameters of ${seen.size} calls fit`);
