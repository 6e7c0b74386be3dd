// A client written from the protocol's document with Node's own modules alone. Arguments: the gateway's address and
// the login root; the private key (base64 of PKCS#8) comes on standard input. Prints what the gateway answered.
'use strict';
const http = require('http');
const crypto = require('crypto');

function call(host, method, path, body, headers) {
  return new Promise((resolve, reject) => {
    const request = http.request(host + path, { method, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

const toNumber = (base64) => BigInt('0x' + Buffer.from(base64, 'base64').toString('hex'));

// As Java's BigInteger.toByteArray does: a leading zero byte where the top bit is set.
function toBytes(number) {
  const length = Math.floor(number.toString(2).length / 8) + 1;
  return Buffer.from(number.toString(16).padStart(length * 2, '0'), 'hex');
}

function modPow(base, exponent, modulus) {
  let result = 1n;
  for (base %= modulus; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
}

// Logs in with the private key (base64 of PKCS#8), and returns a function that signs a payload with the session.
async function login(host, root, key) {
  const privateKey = crypto.createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' });
  const json = { 'Content-Type': 'application/json' };
  const attempt = JSON.parse(
    (await call(host, 'POST', root + '/attempt', JSON.stringify({ api_key_id: 'TEST_SESSION_API_KEY' }), json)).text);
  const base = toNumber(attempt.dh_base);
  const modulus = toNumber(attempt.dh_modulus);
  const exponent = BigInt('0x' + crypto.randomBytes(64).toString('hex'));
  const confirmed = await call(host, 'POST', root + '/confirm', JSON.stringify({
    session_id: attempt.session_id,
    signature: crypto.sign('RSA-SHA256', Buffer.from(attempt.challenge, 'base64'), privateKey).toString('base64'),
    dh_key: toBytes(modPow(base, exponent, modulus)).toString('base64'),
  }), json);
  const secret = toBytes(modPow(toNumber(JSON.parse(confirmed.text).dh_key), exponent, modulus));
  let nonce = 0;
  return (before, after) => {
    nonce += 1;
    const headers = `X-Deltix-Nonce=${nonce}&X-Deltix-Session-Id=${attempt.session_id}`;
    return {
      'X-Deltix-Nonce': String(nonce),
      'X-Deltix-Session-Id': attempt.session_id,
      'X-Deltix-Signature': crypto.createHmac('sha384', secret).update(before + headers + after).digest('base64'),
    };
  };
}

async function main() {
  const [, , host, root] = process.argv;
  const signed = await login(host, root, require('fs').readFileSync(0, 'utf8').trim());
  const answers = [];
  for (const [method, path, payload, body] of [
    ['GET', '/api/v0/streams?b=2&A=%C3%BC', 'GET/api/v0/streamsa=ü&b=2', ''],
    ['POST', '/api/v0/streams', 'POST/api/v0/streams', '{"key":"from node"}'],
  ]) {
    answers.push(await call(host, method, path, body, signed(payload, body)));
  }
  console.log(JSON.stringify(answers.map((answer) => answer.status)));
}

module.exports = { call, login };
if (require.main === module) main().catch((error) => { console.error(error); process.exit(1); });
