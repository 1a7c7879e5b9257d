"""The Terraform provider with OpenTofu or Terraform on the resources of main.tf (compat/README.md describes them)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOL = shutil.which("tofu") or shutil.which("terraform")
HERE = Path(__file__).parent
# The folder of the provider, which takes the place of the one in a registry.
OVERRIDE = f'provider_installation {{\n  dev_overrides {{ "ngrok/ngrok" = "{sys.argv[1]}" }}\n}}\n'
REFUSED = ("ip_policy_rules", "[ERR_NGROK_1413]")


def run(command, *arguments):
    """The messages of a run, and by label what failed in it."""
    arguments = [TOOL, command, "-json", "-input=false", *arguments]
    ended = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    messages = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    if not messages:
        raise RuntimeError(f"{command} said nothing: {ended.stdout}")
    failures = {}
    for message in messages:
        if message["@level"] == "error":
            diagnostic = message.get("diagnostic", {})
            text = f"{message['@message']}: {diagnostic.get('detail', '')}"
            failures[label(diagnostic.get("address", ""))] = text
    return messages, failures


def label(address):
    return address.split(".")[-1].split("[")[0]


def done(messages, action):
    """Labels of what an action was completed on."""
    hooks = [message["hook"] for message in messages if message["type"] == "apply_complete"]
    return {hook["resource"]["resource_name"] for hook in hooks if hook["action"] == action}


def planned(messages):
    """By label, what would be done."""
    changes = [message["change"] for message in messages if message["type"] == "planned_change"]
    return {change["resource"]["resource_name"]: change["action"] for change in changes}


def say(resource, **fields):
    print(json.dumps({"resource": resource, **fields}), flush=True)


def report(resources, check, failure):
    """A line for each resource; `failure` tells why it failed, if it did."""
    for resource in resources:
        why = failure(resource)
        say(resource, check=check, **({"failed": why} if why else {}))


def main():
    with open(os.environ["COMPAT_RESOURCES"], encoding="utf-8") as file:
        table = {row["resource"]: row for row in json.load(file)}
    shutil.copy(HERE / "main.tf", "main.tf")
    Path("tool.tfrc").write_text(OVERRIDE, encoding="utf-8")
    certificate = table["tls_certificates"]["create"][0]
    os.environ.update(
        TF_CLI_CONFIG_FILE="tool.tfrc",
        CHECKPOINT_DISABLE="1",
        TF_VAR_certificate=certificate["certificate_pem"],
        TF_VAR_key=certificate["private_key_pem"],
        TF_VAR_ca=table["certificate_authorities"]["create"][0]["ca_pem"],
        NGROK_API_KEY=os.environ["COMPAT_API_KEY"],
        NGROK_API_BASE_URL=os.environ["COMPAT_API_URL"],
    )
    wanted = planned(run("plan")[0])
    resources = [resource for resource in table if resource in wanted]
    for resource in table:
        if resource not in wanted:
            say(resource, unsupported=True)

    def applied(check, command, action, *arguments):
        messages, failures = run(command, "-auto-approve", *arguments)
        completed = done(messages, action)
        reason = lambda each: None if each in completed else failures.get(each, f"no {action}: {failures}")
        report(resources, check, reason)

    changed = "-var=metadata=changed"
    applied("create", "apply", "create")
    # What is read is what was asked for: there is nothing to do.
    differing = planned(run("plan")[0])
    report(resources, "get", lambda each: differing.get(each) and f"the next plan would {differing[each]} it")
    applied("update", "apply", "update", changed)
    resource, code = REFUSED
    failure = run("apply", "-auto-approve", changed, "-var=refused=true")[1].get("refused", "nothing was refused")
    report([resource], "refused", lambda _: None if code in failure else f"{failure} instead of {code}")
    applied("delete", "destroy", "delete", changed)


main()
