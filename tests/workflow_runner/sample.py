"""A small repository with workflows of every kind that the runner has to understand."""

from pathlib import Path
from textwrap import dedent

__all__ = ["PIN", "write"]

PIN = "0123456789012345678901234567890123456789"

FILES = {
    ".github/workflows/deploy.yml": """
        name: deploy
        run-name: ${{ inputs.action }} ${{ inputs.tenant }} in ${{ inputs.environment }}
        on:
          workflow_dispatch:
            inputs:
              environment: {type: choice, options: [dev, prod], required: true}
              action: {type: choice, options: [plan, deploy, offboard], required: true}
              tenant: {type: string, default: all}
              confirm: {type: string, default: ""}
        permissions: {}
        concurrency: {group: "deploy-${{ inputs.environment }}", cancel-in-progress: false, queue: max}
        jobs:
          plan:
            name: plan
            runs-on: ubuntu-24.04
            timeout-minutes: 15
            permissions: {contents: read}
            outputs: {batches: "${{ steps.plan.outputs.batches }}", count: "${{ steps.plan.outputs.count }}"}
            steps:
              - uses: actions/checkout@PIN
                with: {persist-credentials: false}
              - id: plan
                env: {ACTION: "${{ inputs.action }}", TENANT: "${{ inputs.tenant }}", CONFIRM: "${{ inputs.confirm }}"}
                run: ./plan
          apply:
            name: apply
            needs: plan
            if: needs.plan.outputs.count != '0' && inputs.action != 'plan'
            strategy:
              fail-fast: false
              max-parallel: 4
              matrix: {batch: "${{ fromJSON(needs.plan.outputs.batches) }}"}
            permissions:
              contents: read
              id-token: write
            uses: $/.github/workflows/_apply.yml
            with: {environment: "${{ inputs.environment }}", action: "${{ inputs.action }}", batch: "${{ matrix.batch }}"}
          report:
            name: report
            needs: [plan, apply]
            if: always()
            runs-on: ubuntu-24.04
            timeout-minutes: 5
            permissions: {}
            steps:
              - env: {RESULTS: "${{ toJSON(needs) }}"}
                run: printf '%s\\n' "$RESULTS" >> "$GITHUB_STEP_SUMMARY"
        """,
    ".github/workflows/_apply.yml": """
        name: apply
        on:
          workflow_call:
            inputs:
              environment: {type: string, required: true}
              action: {type: string, required: true}
              batch: {type: string, required: true}
        permissions: {}
        jobs:
          apply:
            name: apply
            runs-on: ubuntu-24.04
            timeout-minutes: 60
            environment: ${{ inputs.action == 'offboard' && format('{0}-offboard', inputs.environment) || inputs.environment }}
            permissions:
              contents: read
              id-token: write
            steps:
              - uses: actions/checkout@PIN
                with: {persist-credentials: false}
              - uses: aws-actions/configure-aws-credentials@PIN
                with:
                  role-to-assume: arn:aws:iam::${{ vars.AWS_ACCOUNT_ID }}:role/write
                  role-session-name: gha-${{ github.run_id }}-${{ github.run_attempt }}
              - id: apply
                env: {BATCH: "${{ inputs.batch }}"}
                run: ./apply
        """,
    "plan": """
        #!/usr/bin/env bash
        set -euo pipefail
        [[ "$TENANT" =~ ^[a-z]+$ ]] || { echo "::error::tenant: '$TENANT' is no id"; exit 2; }
        batches='["acme","bad","skyline"]'
        [[ "$TENANT" == all ]] || batches="[\\"$TENANT\\"]"
        if [[ "$ACTION" == offboard ]]; then
          [[ "$TENANT" != all && "$CONFIRM" == "$TENANT" ]] || { echo "::error::offboard: type the id again"; exit 2; }
        fi
        echo "batches=$batches" >>"$GITHUB_OUTPUT"
        echo "count=$(grep -o , <<<"$batches," | wc -l)" >>"$GITHUB_OUTPUT"
        """,
    "apply": """
        #!/usr/bin/env bash
        echo "| $BATCH | with ${WHO:-nobody} |" >>"$GITHUB_STEP_SUMMARY"
        [[ "$BATCH" != bad ]]
        """,
}


def write(folder: Path, **files: str) -> Path:
    """The repository; `files` come on top of what is in it: `check="…"` is .github/workflows/check.yml."""
    own = {f".github/workflows/{name}.yml": text for name, text in files.items()}
    for name, text in {**FILES, **own}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip().replace("PIN", PIN))
        path.chmod(0o755)
    return folder
