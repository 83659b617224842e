"""Tables, no behaviour: one module per noun, all of them named here."""

from shared.models.attachments import Attachment, AttachmentChunk, AttachmentContent
from shared.models.automations import Automation, AutomationRun, EventRow
from shared.models.base import Base
from shared.models.campaigns import Campaign, CampaignMessage, CampaignRecipient, CampaignTarget, Tally
from shared.models.consents import ConsentEvent
from shared.models.erasures import Erasure
from shared.models.gateways import BalanceReading, Gateway, GatewayScript, HealthChange, SenderIdRow
from shared.models.messages import Attempt, InboundRow, Message, ReceiptRow
from shared.models.notices import NoticeEmail, NoticeRow
from shared.models.otps import (
    Otp,
    OtpBlock,
    OtpCounting,
    OtpHour,
    OtpLimits,
    OtpMessage,
    OtpProfile,
    OtpSubject,
    OtpSum,
)
from shared.models.people import (
    Contact,
    ContactField,
    Import,
    ImportChunk,
    ImportNumber,
    ImportRejection,
    OptOut,
    TargetGroup,
    TargetGroupMember,
)
from shared.models.platform import ApiKey, AuditEntry, DispatcherRow, Heartbeat, IdempotencyKey, Installation
from shared.models.policy import PolicyRow
from shared.models.quota import Estimate, Price, QuotaAccount, QuotaEntry, QuotaHold
from shared.models.references import ClientReference
from shared.models.templates import TemplateRow, TemplateVersion
from shared.models.vouchers import Voucher
from shared.models.webhooks import Webhook, WebhookDelivery, WebhookEvent

__all__ = [
    "ApiKey",
    "Attachment",
    "AttachmentChunk",
    "AttachmentContent",
    "Attempt",
    "AuditEntry",
    "Automation",
    "AutomationRun",
    "BalanceReading",
    "Base",
    "Campaign",
    "CampaignMessage",
    "CampaignRecipient",
    "CampaignTarget",
    "ClientReference",
    "ConsentEvent",
    "Contact",
    "ContactField",
    "DispatcherRow",
    "Erasure",
    "Estimate",
    "EventRow",
    "Gateway",
    "GatewayScript",
    "HealthChange",
    "Heartbeat",
    "IdempotencyKey",
    "Import",
    "ImportChunk",
    "ImportNumber",
    "ImportRejection",
    "InboundRow",
    "Installation",
    "Message",
    "NoticeEmail",
    "NoticeRow",
    "OptOut",
    "Otp",
    "OtpBlock",
    "OtpCounting",
    "OtpHour",
    "OtpLimits",
    "OtpMessage",
    "OtpProfile",
    "OtpSubject",
    "OtpSum",
    "PolicyRow",
    "Price",
    "QuotaAccount",
    "QuotaEntry",
    "QuotaHold",
    "ReceiptRow",
    "SenderIdRow",
    "Tally",
    "TargetGroup",
    "TargetGroupMember",
    "TemplateRow",
    "TemplateVersion",
    "Voucher",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
]
