// A client with WebSockets, written from the protocol's document: Node's own modules and the package `ws`, with which the
// gateway's samples are written. Arguments: the gateway's address, and `basic` or `session`; the private key for the
// latter (base64 of PKCS#8) comes on standard input. Prints what it received: the status of a REST request, the messages
// of a WebSocket, the first line of the answer to a STOMP CONNECT, and the body of a STOMP message.
'use strict';
const crypto = require('crypto');
const WebSocket = require('ws');
const { call, login } = require('./seed_client.js');

const KEY = 'TEST_API_KEY';
const SECRET = 'TEST_API_SECRET';
const hmac = (payload) => crypto.createHmac('sha384', SECRET).update(payload).digest('base64');

async function signerOf(host, flow) {
  if (flow === 'basic') {
    return {
      rest: (payload, body) => ({ 'X-Deltix-ApiKey': KEY, 'X-Deltix-Signature': hmac(payload + body) }),
      stomp: () => {
        const random = crypto.randomUUID();
        const signature = hmac(`CONNECTX-Deltix-Payload=${random}&X-Deltix-ApiKey=${KEY}`);
        return { 'X-Deltix-ApiKey': KEY, 'X-Deltix-Payload': random, 'X-Deltix-Signature': signature };
      },
    };
  }
  const signed = await login(host, '/api/v1/login', require('fs').readFileSync(0, 'utf8').trim());
  return { rest: signed, stomp: () => signed('CONNECT', '') };
}

function messagesOf(address, headers) {
  return new Promise((resolve, reject) => {
    const messages = [];
    const socket = new WebSocket(address, { headers });
    socket.on('message', (data) => messages.push(JSON.parse(data.toString())));
    socket.on('close', () => resolve(messages));
    socket.on('error', reject);
  });
}

function frame(command, headers) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  return `${command}\n${lines.join('')}\n\0`;
}

// Connects, subscribes, and calls `act` when the subscription stands. Resolves with the first message after that.
function subscribed(address, credentials, destination, act) {
  return new Promise((resolve, reject) => {
    let answer;
    const socket = new WebSocket(address, ['v12.stomp']);
    socket.on('open', () => socket.send(frame('CONNECT', {
      ...credentials, 'heart-beat': '0,0', 'accept-version': '1.1,1.2',
    })));
    socket.on('message', (data) => {
      const [command, ...rest] = data.toString().split('\n');
      if (command === 'CONNECTED') {
        answer = command;
        socket.send(frame('SUBSCRIBE', { id: '0', destination, receipt: 'subscribed' }));
      } else if (command === 'RECEIPT') {
        act().catch(reject);
      } else {
        socket.close();
        resolve([answer, command, rest.slice(rest.indexOf('') + 1).join('\n').replace(/\0[\s\S]*$/, '')]);
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the gateway closed the connection')));
  });
}

async function main() {
  const [, , host, flow] = process.argv;
  const sockets = host.replace('http', 'ws');
  const signer = await signerOf(host, flow);
  const streams = await call(host, 'GET', '/api/v0/streams', '', signer.rest('GET/api/v0/streams', ''));
  const select = '/ws/v0/bars1min/select';
  const query = 'symbols=BTC/USD&live=false';
  const bars = await messagesOf(`${sockets}${select}?${query}`, signer.rest(`GET${select}live=false&symbols=BTC/USD`, ''));
  const body = JSON.stringify({ key: `from-node-${flow}` });
  const stomp = await subscribed(`${sockets}/stomp/v0`, signer.stomp(), '/topic/streams', async () => {
    const added = await call(host, 'POST', '/api/v0/streams', body, signer.rest('POST/api/v0/streams', body));
    if (added.status !== 201) throw new Error(added.text);
  });
  console.log(JSON.stringify({ streams: streams.status, bars, stomp }));
}

main().catch((error) => { console.error(error); process.exit(1); });
