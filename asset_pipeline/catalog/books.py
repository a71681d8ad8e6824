"""What becomes of a feed's rows while it is read: each is settled as one thing, with what is said of it."""

from dataclasses import dataclass, field

from asset_pipeline.catalog.dialect import Draft
from asset_pipeline.catalog.feed import Feed, account
from asset_pipeline.catalog.formats.rows import NoProduct, Remark
from asset_pipeline.catalog.product import Finding


@dataclass
class Books:
    """What became of a feed's rows so far."""

    file: str
    sha256: str | None = None
    dialect: str | None = None
    error: str | None = None
    rows: list[int] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    details: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def note(self, remark: Remark, row: int | None = None, sku: str | None = None) -> None:
        """Say something of the feed, or of one of its rows."""
        self.findings.append(
            Finding(
                feed=self.file,
                row=row,
                sku=sku,
                field=remark.field,
                level=remark.level,
                code=remark.code,
                message=remark.message,
            )
        )

    def drop(self, answer: NoProduct) -> None:
        """Settle a row that gives no product."""
        (self.refused if answer.remark.level == "refused" else self.skipped).append(answer.row)
        self.note(answer.remark, answer.row, answer.sku)

    def fail(self, code: str, reason: str) -> None:
        """Take nothing from the feed: its rows are refused as far as they were read."""
        self.error = reason
        self.refused, self.drafts, self.details, self.skipped = list(self.rows), [], [], []
        self.findings.clear()
        self.note(Remark("refused", code, reason))

    def closed(self) -> Feed:
        """The feed with its books as they are now."""
        counts = account(
            self.rows,
            products=[draft.row for draft in self.drafts],
            variants=[row for draft in self.drafts for row in draft.variant_rows],
            details=self.details,
            refused=self.refused,
            skipped=self.skipped,
        )
        return Feed.model_validate(
            {"file": self.file, "sha256": self.sha256, "dialect": self.dialect, "error": self.error, **counts}
        )
