// Another program, as people write them in Node: amqplib, no library of ours. Publishes jobs, hears
// events and replies, and prints what it heard as JSON once all of its jobs have their replies.
const amqp = require('amqplib');

const [url, queue] = process.argv.slice(2);
const JOBS = {
  plain: {},
  urgent: {priority: 5},
  named: {headers: {'x-job-priority': 'high'}},
  late: {headers: {'x-delay': 500}},
  direct: {replyTo: 'amq.rabbitmq.reply-to'},
  refused: {},
};
const BODIES = {refused: {do: 'reject'}, direct: {do: 'fail', times: 1}};

async function main() {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, {durable: true});
  await channel.assertExchange('supervisor.events', 'topic', {durable: true});
  const ear = await channel.assertQueue('', {exclusive: true});
  const answers = await channel.assertQueue('', {exclusive: true});
  await channel.bindQueue(ear.queue, 'supervisor.events', `${queue}.*`);
  const events = {};
  const replies = {};
  const ends = {};
  const sent = {};
  const isDone = () => Object.keys(JOBS).every((id) => replies[id] && ends[id]);
  let finish;
  const finished = new Promise((resolve) => { finish = resolve; });
  const hearEvent = (message) => {
    const event = JSON.parse(message.content);
    (events[event.id] ||= []).push(message.properties.type);
    if (['completed', 'failed'].includes(event.name)) ends[event.id] = true;
    if (isDone()) finish();
  };
  const hearReply = (message) => {
    replies[message.properties.correlationId] = JSON.parse(message.content);
    if (isDone()) finish();
  };
  await channel.consume(ear.queue, hearEvent, {noAck: true});
  await channel.consume(answers.queue, hearReply, {noAck: true});
  await channel.consume('amq.rabbitmq.reply-to', hearReply, {noAck: true});
  for (const [id, options] of Object.entries(JOBS)) {
    const body = Buffer.from(JSON.stringify({name: id, ...BODIES[id]}));
    const own = {messageId: id, correlationId: id, replyTo: answers.queue, ...options};
    sent[id] = Date.now() / 1000;
    channel.publish('', queue, body, own);
  }
  await channel.waitForConfirms();
  await finished;
  console.log(JSON.stringify({events, replies, sent}));
  await connection.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
