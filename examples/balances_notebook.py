# %% [markdown]
# Balances, as in a notebook: no `await`, and the connection stays open between the cells.
# Open it as a notebook (most editors know `# %%`), or run it: `python examples/balances_notebook.py`.

# %% A local exchange, and a client that stays connected
import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange

key = cp.PrivateKey.generate()
exchange = Exchange()
exchange.start()
exchange.register("alice", key.public_key, balances={"USD": "100000", "BTC": "2"})
client = sync.Client(exchange.url, client_id="alice", private_key=key, server_key=exchange.public_key)
client.start()


# %% What do I have?
def show() -> None:
    for currency, balance in sorted(client.balances().items()):
        print(f"{currency:4} {balance.available:>18f} available {balance.on_hold:>16f} on hold")


show()

# %% An order reserves money
order = client.place("BTC_USD", cp.Side.BUY, amount="1", price="15000")
print(order)
show()

# %% Cancelling releases it
client.cancel(order)
print(order.wait_closed(timeout=5))
show()

# %% What has happened so far?
for event in client.events(timeout=0.5):
    print(event.transaction_id, type(event.message).__name__)

# %% The end
client.close()
exchange.close()
